import type { InboxPeer, SourceLimits } from '../core/message/index.ts'
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
/** The same for members of a group that are not paired: whoever made the group may have made them up, by the thousand. */
const shareOpenToMembers = 1 / 2

/** How this node stands to a peer. */
export interface Standing {
  readonly paired: boolean
  /** Whether Commands are taken from it. */
  readonly commands: boolean
  readonly blocked: boolean
}

/** What is held of one stranger: messages, and bytes of their envelopes. */
export const heldLimits = (options: MeshOptions): { readonly messages: number; readonly bytes: number } => ({
  messages: options.inboxMaxHeldPerPeer,
  bytes: heldBytesOfSource
})

/** What the inbox takes from a peer, by how this node stands to it. */
export function inboxLimits(publicKey: Uint8Array, standing: Standing, options: MeshOptions): InboxPeer {
  const { paired } = standing
  const share = paired ? 1 : shareOpenToStrangers
  const asMember: SourceLimits = {
    maxMessages: Math.floor(options.inboxMaxMessages * shareOpenToMembers),
    maxBytes: Math.floor(options.inboxMaxBytes * shareOpenToMembers),
    maxMessagesOfSource: options.inboxMaxMessagesPerPeer,
    maxBytesOfSource: options.inboxMaxBytesPerPeer
  }
  return {
    publicKey,
    messagesPerSecond: paired ? options.rateMessagesPerSecond : Math.min(messagesPerSecondOfStranger, options.rateMessagesPerSecond),
    limits: {
      ...standing,
      maxMessages: Math.floor(options.inboxMaxMessages * share),
      maxBytes: Math.floor(options.inboxMaxBytes * share),
      maxMessagesOfSource: paired ? options.inboxMaxMessagesPerPeer : options.inboxMaxHeldPerPeer,
      maxBytesOfSource: paired ? options.inboxMaxBytesPerPeer : heldBytesOfSource,
      ...(paired ? {} : { asMember })
    }
  }
}
