import type { InboxPeer } from '../core/message/index.ts'
import type { MeshOptions } from '../core/options/index.ts'

/** What is held of one peer that is not paired. */
const heldBytesOfSource = 1_048_576
/** What is taken from one peer that is not paired, at most. */
const messagesPerSecondOfStranger = 100

/** What the inbox takes from a peer, by whether it is paired. */
export function inboxLimits(publicKey: Uint8Array, paired: boolean, options: MeshOptions): InboxPeer {
  return {
    publicKey,
    messagesPerSecond: paired ? options.rateMessagesPerSecond : Math.min(messagesPerSecondOfStranger, options.rateMessagesPerSecond),
    limits: {
      paired,
      maxMessages: options.inboxMaxMessages,
      maxBytes: options.inboxMaxBytes,
      maxMessagesOfSource: paired ? options.inboxMaxMessagesPerPeer : options.inboxMaxHeldPerPeer,
      maxBytesOfSource: paired ? options.inboxMaxBytesPerPeer : heldBytesOfSource
    }
  }
}
