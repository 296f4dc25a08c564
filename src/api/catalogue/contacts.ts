import { messageTypes } from '../../core/message/types.ts'
import { command, type Zod } from '../command.ts'
import { receivedMessage } from './shapes.ts'

/** Who is trusted: strangers that wait, paired peers and their rights, blocks. */

const who = (help: string) => ({ type: 'text', min: 1, max: 512, required: true, position: 0, flag: false, placeholder: 'PEER', help }) as const

const anyPeer = who('alias, name, peer id (whole, 6 characters of a paired peer’s, or as it is shown, such as …gu8UwZdi) or address')

const contact = (z: Zod) =>
  z.strictObject({
    peerId: z.string(),
    name: z.string(),
    alias: z.string().optional(),
    /** The name on its card when it was paired. */
    pinnedName: z.string(),
    paired: z.boolean(),
    /** Whether Commands are taken from it. */
    commands: z.boolean(),
    blocked: z.boolean(),
    connected: z.boolean(),
    /** When it was paired. */
    since: z.number().optional()
  })

const contactChange = (z: Zod) => contact(z).extend({ released: z.int(), held: z.int(), deleted: z.int(), unread: z.int(), queued: z.int() })

export const pending = command({
  words: ['pending'],
  help: 'list the strangers whose messages are held until you decide; what they sent is not shown unless you ask',
  fields: {
    show: { type: 'boolean', default: false, help: 'also print the messages: the words of strangers' },
    limit: { type: 'integer', min: 1, max: 1_000, default: 100, help: 'at most this many strangers, who waited longest' }
  },
  examples: ['synaptic-mesh p2p pending', 'synaptic-mesh p2p pending --show --json'],
  errors: [],
  output: (z) =>
    z.strictObject({
      strangers: z.array(
        z.strictObject({
          peerId: z.string(),
          name: z.string(),
          /** What it calls itself: nobody has checked that. */
          claimedName: z.string().optional(),
          connected: z.boolean(),
          /** It was blocked, and what was held of it was kept. */
          blocked: z.boolean(),
          messages: z.int(),
          bytes: z.int(),
          maxMessages: z.int(),
          maxBytes: z.int(),
          since: z.number(),
          types: z.array(z.enum(messageTypes)),
          held: z.array(receivedMessage(z)).optional()
        })
      ),
      /** Of all of them, also of those that are not in the list. */
      messages: z.int()
    }),
  route: { method: 'GET', path: '/v1/pending', scope: 'read' }
})

export const approve = command({
  words: ['approve'],
  help: 'pair with a stranger from this side: what was held of it is delivered, and it is told so',
  fields: {
    peer: who('its peer id, whole or as pending shows it, such as …gu8UwZdi'),
    as: { type: 'text', min: 1, max: 63, placeholder: 'ALIAS', help: 'your own name for the peer' },
    command: { type: 'boolean', negatable: true, help: 'take Commands from it, too' }
  },
  examples: ['synaptic-mesh p2p approve …gu8UwZdi --as bob', 'synaptic-mesh p2p approve …gu8UwZdi --as builder --command'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'DISK_FULL'],
  /** With a note where another peer is called what it calls itself. */
  output: (z) => contactChange(z).extend({ note: z.string().optional() }),
  route: { method: 'POST', path: '/v1/pending/approve', scope: 'admin' }
})

export const peerList = command({
  words: ['peer', 'list'],
  isDefault: true,
  help: 'list the peers that you decided about: paired and blocked ones, with their rights',
  fields: {},
  examples: ['synaptic-mesh p2p peer list', 'synaptic-mesh p2p peer list --json'],
  errors: [],
  output: (z) => z.strictObject({ peers: z.array(contact(z)) }),
  route: { method: 'GET', path: '/v1/contacts', scope: 'read' }
})

export const peerRename = command({
  words: ['peer', 'rename'],
  help: 'give a paired peer a name of your own; it is used before the one that the peer gave itself',
  fields: {
    peer: anyPeer,
    alias: { type: 'text', max: 63, required: true, position: 1, flag: false, placeholder: 'ALIAS', help: 'the name; an empty one takes it away' }
  },
  examples: ['synaptic-mesh p2p peer rename agent-001 planner', "synaptic-mesh p2p peer rename planner ''"],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'PEER_NOT_PAIRED', 'DISK_FULL'],
  output: contactChange,
  route: { method: 'POST', path: '/v1/contacts/rename', scope: 'admin' }
})

export const peerTrust = command({
  words: ['peer', 'trust'],
  help: 'say whether Commands are taken from a paired peer; lifts a block',
  fields: { peer: anyPeer, command: { type: 'boolean', negatable: true, help: 'take Commands from it' } },
  examples: ['synaptic-mesh p2p peer trust agent-001 --command', 'synaptic-mesh p2p peer trust agent-001 --no-command'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'PEER_NOT_PAIRED', 'DISK_FULL'],
  output: contactChange,
  route: { method: 'POST', path: '/v1/contacts/trust', scope: 'admin' }
})

export const peerBlock = command({
  words: ['peer', 'block'],
  help: 'take nothing from a peer any more: no connection, no message',
  fields: { peer: anyPeer, delete: { type: 'boolean', default: false, help: 'also delete what is held of it, unread' } },
  examples: ['synaptic-mesh p2p peer block …gu8UwZdi --delete'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'DISK_FULL'],
  output: contactChange,
  route: { method: 'POST', path: '/v1/contacts/block', scope: 'admin' }
})

export const peerRemove = command({
  words: ['peer', 'remove'],
  help: 'make a paired peer a stranger again; what it sent and you have not read stays in the inbox',
  fields: { peer: anyPeer },
  examples: ['synaptic-mesh p2p peer remove agent-001'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'PEER_NOT_PAIRED', 'DISK_FULL'],
  output: contactChange,
  route: { method: 'POST', path: '/v1/contacts/remove', scope: 'admin' }
})
