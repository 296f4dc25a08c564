import { command, type Zod } from '../command.ts'
import { timeoutMs } from './fields.ts'

/** That another peer has the same name; with onion_routing on, that pairing does not go over circuits. */
const pairingNote = (z: Zod) => ({ note: z.string().optional() })

/** Three words that both sides of a pairing show, unless somebody stood between. */
const words = (z: Zod) => z.array(z.string()).length(3)

const newInvite = (z: Zod) => ({ id: z.string(), invite: z.string().max(300), expiresAt: z.number() })

const pairedPeer = (z: Zod) =>
  z.strictObject({ peerId: z.string(), name: z.string(), alias: z.string().optional(), words: words(z).optional(), ...pairingNote(z) })

/** An invite by its public name, which is no secret. */
const inviteId = {
  type: 'text',
  min: 4,
  max: 16,
  required: true,
  position: 0,
  flag: false,
  placeholder: 'ID',
  help: 'the id of the invite, or the beginning of it'
} as const

export const invite = command({
  words: ['invite', 'create'],
  isDefault: true,
  help: 'make an invite for one peer to pair with this node',
  fields: {
    expiresInS: {
      type: 'integer',
      min: 60,
      max: 604_800,
      default: 86_400,
      flag: '--expires',
      placeholder: 'SECONDS',
      help: 'seconds until it expires'
    },
    noCommand: { type: 'boolean', help: 'take no Commands from the peer that uses it' },
    qr: { type: 'boolean', local: true, help: 'show it as a QR code, too' },
    wait: { type: 'boolean', local: true, help: 'wait for the peer, and print the three words to compare with it' },
    timeoutMs: { ...timeoutMs(600_000), local: true, help: 'with --wait: give up after this many seconds (default 600)' }
  },
  examples: ['synaptic-mesh p2p invite', 'synaptic-mesh p2p invite --wait', 'synaptic-mesh p2p invite --qr --expires 600'],
  errors: ['DISK_FULL', 'TIMEOUT', 'INVITE_EXPIRED', 'INVITE_REVOKED', 'INVITE_USED'],
  output: (z) => z.strictObject({ ...newInvite(z), ...pairingNote(z), paired: pairedPeer(z).optional() }),
  route: { method: 'POST', path: '/v1/invites', scope: 'admin' }
})

export const inviteList = command({
  words: ['invite', 'list'],
  help: 'list the invites that this node gave out, and who used them',
  fields: {},
  examples: ['synaptic-mesh p2p invite list'],
  errors: [],
  output: (z) =>
    z.strictObject({
      invites: z.array(
        z.strictObject({
          id: z.string(),
          state: z.enum(['open', 'used', 'expired', 'revoked', 'burnt']),
          expiresAt: z.number(),
          failures: z.int(),
          commands: z.boolean(),
          usedBy: z.strictObject({ peerId: z.string(), name: z.string() }).optional()
        })
      )
    }),
  route: { method: 'GET', path: '/v1/invites/list', scope: 'read' }
})

export const inviteRevoke = command({
  words: ['invite', 'revoke'],
  help: 'take an invite back that nobody has used',
  fields: { id: inviteId },
  examples: ['synaptic-mesh p2p invite revoke 1f2e3d4c5b6a7988'],
  errors: ['INVITE_UNKNOWN', 'INVITE_USED'],
  output: (z) => z.strictObject({ id: z.string() }),
  route: { method: 'POST', path: '/v1/invites/revoke', scope: 'admin' }
})

/** What `invite --wait` asks the daemon, and other programs may. */
export const inviteWait = command({
  words: ['invite', 'wait'],
  help: 'wait until a peer has used an invite, and print the three words to compare with it',
  fields: { id: inviteId, timeoutMs: timeoutMs(600_000) },
  examples: ['synaptic-mesh p2p invite wait 1f2e3d4c5b6a7988 --timeout 60'],
  errors: ['INVITE_UNKNOWN', 'INVITE_EXPIRED', 'INVITE_REVOKED', 'INVITE_USED', 'TIMEOUT'],
  output: pairedPeer,
  route: { method: 'POST', path: '/v1/invites/wait', scope: 'admin' }
})

export const join = command({
  words: ['join'],
  help: 'pair with the peer that made an invite, and print the three words to compare with it',
  fields: {
    invite: {
      type: 'text',
      min: 1,
      max: 512,
      required: true,
      position: 0,
      flag: false,
      isPrivate: true,
      help: 'the invite; - reads it from standard input'
    },
    as: { type: 'text', min: 1, max: 63, placeholder: 'ALIAS', help: 'your own name for the peer' },
    noCommand: { type: 'boolean', help: 'take no Commands from the peer' },
    timeoutMs: timeoutMs(30_000)
  },
  examples: ['synaptic-mesh p2p join INVITE --as agent-001', 'pass show mesh-invite | synaptic-mesh p2p join -'],
  errors: [
    'INVITE_INVALID',
    'INVITE_EXPIRED',
    'INVITE_USED',
    'INVITE_REVOKED',
    'NETWORK_MISMATCH',
    'PEER_UNREACHABLE',
    'IDENTITY_MISMATCH',
    'PEER_BLOCKED',
    'HANDSHAKE_FAILED',
    'TIMEOUT'
  ],
  output: (z) => z.strictObject({ peerId: z.string(), name: z.string(), alias: z.string().optional(), words: words(z), ...pairingNote(z) }),
  route: { method: 'POST', path: '/v1/pairs', scope: 'admin' }
})
