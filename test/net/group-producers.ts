import { outcomeOf } from '../../src/cli/outcome.ts'
import type { ErrorCode } from '../../src/core/base/index.ts'
import { editGroup, groupLimits } from '../../src/core/group/index.ts'
import type { Mesh } from '../../src/mesh/mesh.ts'
import { groupOf, issuedAt, keyOf, memberOf, signerOf } from '../core/group/records.ts'

interface Nodes {
  readonly me: Mesh
  readonly friend: Mesh
}

const group = groupOf('ada', 'ben')
const ada = signerOf('ada')
const many = Array.from({ length: groupLimits.members }, (_, index) => memberOf(`member-${index}`))
const member = { peer: { peerId: 'p', name: 'ben' }, id: 'grp-1', status: 'accepted', ms: 0, attempts: 0 } as const
const report = {
  id: 'm-1',
  to: [member.peer],
  type: 'Thought',
  priority: 5,
  status: 'accepted',
  via: 'direct',
  ms: 0,
  attempts: 0,
  acceptedAt: 0,
  expiresAt: 0,
  group: { id: '00', name: 'swarm-alpha' },
  members: [member]
} as const

/** What makes each error of groups come about. */
export const groupProducers = {
  GROUP_UNKNOWN: ({ me }) => me.send('@nobody', 'x'),
  GROUP_EXISTS: async ({ me, friend }) => me.groups.create((await me.peer(friend.peerId)).name),
  GROUP_NOT_ADMIN: () => editGroup(group, { add: [memberOf('dan')], issuedAt }, signerOf('ben')),
  GROUP_CREATOR_ONLY: () => {
    const withBen = editGroup(group, { promote: [keyOf('ben')], issuedAt }, ada) ?? group
    return editGroup(withBen, { remove: [keyOf('ada')], issuedAt }, signerOf('ben'))
  },
  GROUP_LAST_ADMIN: () => editGroup(group, { remove: [keyOf('ada')], issuedAt }, ada),
  GROUP_FULL: () => editGroup(group, { add: many, issuedAt }, ada),
  GROUP_NOT_MEMBER: async ({ me, friend }) => {
    await me.groups.create('alone')
    return me.groups.remove('alone', [friend.peerId])
  },
  GROUP_INCOMPLETE: () => outcomeOf({ ...report, to: [...report.to], members: [...report.members] }, { wait: 'stored', volatile: false })
} as const satisfies Partial<Record<ErrorCode, (nodes: Nodes) => unknown>>
