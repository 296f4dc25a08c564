import type { InboxPeer } from '../core/message/index.ts'
import type { MeshOptions } from '../core/options/index.ts'

/** What is held of one peer that is not paired. */
const heldBytesOfSource = 1_048_576
/** What is taken from one peer that is not paired, at most. */
const messagesPerSecondOfStranger = 100
/**
 * From strangers nothing is taken once the whole inbox is this full: identities cost nothing, so that without it a crowd of them
 * could use up the space, and paired peers would be refused.
 */
const shareOpenToStrangers = 1 / 4

/** What the inbox takes from a peer, by whether it is paired. */
export function inboxLimits(publicKey: Uint8Array, paired: boolean, options: MeshOptions): InboxPeer {
  const share = paired ? 1 : shareOpenToStrangers
  return {
    publicKey,
    messagesPerSecond: paired ? options.rateMessagesPerSecond : Math.min(messagesPerSecondOfStranger, options.rateMessagesPerSecond),
    limits: {
      paired,
      maxMessages: Math.floor(options.inboxMaxMessages * share),
      maxBytes: Math.floor(options.inboxMaxBytes * share),
      maxMessagesOfSource: paired ? options.inboxMaxMessagesPerPeer : options.inboxMaxHeldPerPeer,
      maxBytesOfSource: paired ? options.inboxMaxBytesPerPeer : heldBytesOfSource
    }
  }
}
