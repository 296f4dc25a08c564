import { entry, type ErrorEntry } from './error-entry.ts'

/** Errors of trust: strangers, rights, blocks, pairing. Part of the one table. */
export const trustErrors = {
  NOT_ALLOWED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} takes nothing from this node`,
    hint: 'Its owner decided so. Nothing that is sent again changes it.'
  }),
  PEER_BLOCKED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} is blocked by this node`,
    hint: 'Lift the block first.',
    next: ['synaptic-mesh p2p peer trust PEER', 'synaptic-mesh p2p peer list'],
    // The name, or the short id, is typed as it is shown; of what a shell would not take for one word only the place is.
    nextFor: ({ peer }) =>
      typeof peer === 'string' && /^…?[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(peer)
        ? [`synaptic-mesh p2p peer trust ${peer}`, 'synaptic-mesh p2p peer list']
        : undefined
  }),
  PEER_NOT_PAIRED: entry({
    exit: 4,
    retryable: false,
    message: (d) => `${d['peer']} is not paired with this node`,
    hint: 'Approve it first, or pair with it by an invite.',
    next: ['synaptic-mesh p2p pending', 'synaptic-mesh p2p approve PEER', 'synaptic-mesh p2p invite']
  }),
  INVITE_REVOKED: entry({
    exit: 9,
    retryable: false,
    message: () => 'The invite was taken back by the peer that made it',
    hint: 'Ask that peer for a new one: it runs synaptic-mesh p2p invite.'
  }),
  INVITE_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: (d) => `No invite of this node has the id ${d['id']}`,
    hint: 'Name it by its id of 16 digits, or at least the first 4 where they are its own.',
    next: ['synaptic-mesh p2p invite list']
  })
} as const satisfies Record<string, ErrorEntry>
