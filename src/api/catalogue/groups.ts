import { groupStates } from '../../core/group/types.ts'
import { command, type Zod } from '../command.ts'
import { peerReference } from './shapes.ts'

const anyGroup = {
  type: 'text',
  min: 1,
  max: 64,
  position: 0,
  flag: false,
  help: 'its name, or @ and 6 digits or more of its id'
} as const

const group = { ...anyGroup, required: true } as const

const anyPeers = {
  type: 'list',
  maxItems: 1_023,
  maxCharacters: 512,
  placeholder: 'PEER',
  help: 'aliases, names or peer ids'
} as const

const peers = { ...anyPeers, required: true, position: 1, flag: false } as const

const groupInfo = (z: Zod) =>
  z.strictObject({
    id: z.string(),
    name: z.string(),
    state: z.enum(groupStates),
    role: z.enum(['creator', 'admin', 'member', 'none']),
    creator: peerReference(z),
    epoch: z.int(),
    sequence: z.int(),
    changedAt: z.number(),
    members: z.array(
      z.strictObject({
        peerId: z.string(),
        name: z.string(),
        /** As the admin who added it calls it: its word. */
        recordName: z.string(),
        admin: z.boolean(),
        self: z.boolean(),
        paired: z.boolean(),
        connected: z.boolean()
      })
    )
  })

const changeErrors = ['GROUP_UNKNOWN', 'GROUP_NOT_ADMIN', 'GROUP_CREATOR_ONLY', 'NAME_AMBIGUOUS', 'DISK_FULL'] as const

export const groupCreate = command({
  words: ['group', 'create'],
  help: 'make a group: a name that stands for all its members, this node among them; a paired peer is in it at once, another one when it approves of this node',
  fields: {
    name: { type: 'text', min: 1, max: 63, required: true, position: 0, flag: false, help: 'what it is called: letters, digits, . _ -' },
    member: { ...anyPeers, flag: '--member' },
    peers: { ...anyPeers, position: 1, flag: false, help: 'more members' }
  },
  examples: ['synaptic-mesh p2p group create swarm-alpha --member agent-001 --member node-beta', 'synaptic-mesh p2p group create swarm-alpha'],
  errors: ['GROUP_EXISTS', 'GROUP_FULL', 'PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'OPTION_INVALID', 'DISK_FULL'],
  output: groupInfo,
  route: { method: 'POST', path: '/v1/groups/create', scope: 'admin' }
})

export const groupAdd = command({
  words: ['group', 'add'],
  help: 'add members to a group that this node is an admin of',
  fields: {
    group,
    member: peers,
    admin: { type: 'boolean', default: false, help: 'they may change the group as well; its creator alone can say so' }
  },
  examples: ['synaptic-mesh p2p group add swarm-alpha agent-001 node-beta'],
  errors: [...changeErrors, 'GROUP_FULL', 'PEER_UNKNOWN'],
  output: groupInfo,
  route: { method: 'POST', path: '/v1/groups/add', scope: 'admin' }
})

export const groupRemove = command({
  words: ['group', 'remove'],
  help: 'remove members from a group: nothing that is sent to it from then on reaches them',
  fields: { group, member: peers },
  examples: ['synaptic-mesh p2p group remove swarm-alpha node-beta'],
  errors: [...changeErrors, 'GROUP_LAST_ADMIN', 'GROUP_NOT_MEMBER', 'PEER_UNKNOWN'],
  output: groupInfo,
  route: { method: 'POST', path: '/v1/groups/remove', scope: 'admin' }
})

export const groupList = command({
  words: ['group', 'list'],
  isDefault: true,
  help: 'list the groups that this node is or was in, or tell about one',
  fields: { group: anyGroup },
  examples: ['synaptic-mesh p2p group list', 'synaptic-mesh p2p group list swarm-alpha --json'],
  errors: ['GROUP_UNKNOWN', 'NAME_AMBIGUOUS'],
  output: (z) => z.strictObject({ groups: z.array(groupInfo(z)) }),
  route: { method: 'GET', path: '/v1/groups', scope: 'read' }
})

export const groupLeave = command({
  words: ['group', 'leave'],
  help: 'leave a group: at once for this node, for the others when one of its admins has heard of it',
  fields: { group },
  examples: ['synaptic-mesh p2p group leave swarm-alpha'],
  errors: ['GROUP_UNKNOWN', 'GROUP_LAST_ADMIN', 'NAME_AMBIGUOUS', 'DISK_FULL'],
  output: groupInfo,
  route: { method: 'POST', path: '/v1/groups/leave', scope: 'admin' }
})

export const groupDelete = command({
  words: ['group', 'delete'],
  help: 'end a group for all its members',
  fields: { group },
  examples: ['synaptic-mesh p2p group delete swarm-alpha'],
  errors: ['GROUP_UNKNOWN', 'GROUP_NOT_ADMIN', 'NAME_AMBIGUOUS', 'DISK_FULL'],
  output: groupInfo,
  route: { method: 'POST', path: '/v1/groups/delete', scope: 'admin' }
})
