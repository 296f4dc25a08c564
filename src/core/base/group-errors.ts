import { entry, type ErrorEntry } from './error-entry.ts'

/** Errors of groups. Part of the one table. */
export const groupErrors = {
  GROUP_UNKNOWN: entry({
    exit: 5,
    retryable: false,
    message: ({ group }) => `No group is known as ${group}`,
    hint: 'A group that others made is known here once one of its admins has added this node and its record has come.',
    next: ['synaptic-mesh p2p group list']
  }),
  GROUP_EXISTS: entry({
    exit: 2,
    retryable: false,
    message: ({ group, reason }) => `${group} cannot be the name of a group: ${reason}`,
    hint: 'A name stands for one thing only. Take another name.',
    next: ['synaptic-mesh p2p group list', 'synaptic-mesh p2p peers']
  }),
  GROUP_NOT_ADMIN: entry({
    exit: 4,
    retryable: false,
    message: ({ group }) => `Only admins of ${group} can change it, and this node is none`,
    hint: 'Ask one of its admins, or make a group of your own.',
    next: ['synaptic-mesh p2p group list']
  }),
  GROUP_CREATOR_ONLY: entry({
    exit: 4,
    retryable: false,
    message: ({ group }) => `Only the creator of ${group} can say who its admins are`,
    hint: 'Admins are made, and removed, by the node that made the group.',
    next: ['synaptic-mesh p2p group list']
  }),
  GROUP_LAST_ADMIN: entry({
    exit: 4,
    retryable: false,
    message: ({ group }) => `${group} would be left without an admin`,
    hint: 'Make another member an admin first, or end the group.',
    next: ['synaptic-mesh p2p group add GROUP PEER --admin', 'synaptic-mesh p2p group delete GROUP']
  }),
  GROUP_FULL: entry({
    exit: 2,
    retryable: false,
    message: ({ group, what, max }) => `${group} can have at most ${max} ${what}`,
    hint: 'Use several groups.'
  }),
  GROUP_NOT_MEMBER: entry({
    exit: 4,
    retryable: false,
    message: ({ group, peer }) => (peer === undefined ? `This node is no member of ${group} any more` : `${peer} is no member of ${group}`),
    hint: 'Messages to a group are taken from its members only; an admin can add a peer.',
    next: ['synaptic-mesh p2p group list']
  }),
  GROUP_INCOMPLETE: entry({
    exit: 7,
    retryable: true,
    message: ({ group, stored, members, missing }) => `Stored at ${stored} of ${members} members of ${group}; not at ${missing}`,
    hint: 'What is queued is delivered when these members come back, and what is held when they approve this node; the outbox tells what became of it.',
    next: ['synaptic-mesh p2p outbox']
  })
} as const satisfies Record<string, ErrorEntry>
