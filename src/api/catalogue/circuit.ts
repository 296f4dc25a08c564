import { command, type Zod } from '../command.ts'
import { peer, timeoutMs } from './fields.ts'
import { peerReference } from './shapes.ts'

const circuitInfo = (z: Zod) => ({
  circuit: z.string(),
  state: z.enum(['building', 'ready', 'draining']),
  hops: z.int().min(0).max(9),
  level: z.literal([1, 3, 5]),
  openedAt: z.number(),
  expiresAt: z.number(),
  streams: z.int(),
  cells: z.strictObject({ sent: z.int(), received: z.int() }),
  /** The relays in order, with --show-path only. */
  path: z.array(peerReference(z)).optional()
})

const showPath = { type: 'boolean', default: false, help: 'name the relays; without it the daemon keeps them to itself' } as const

export const circuitOpen = command({
  words: ['circuit', 'open'],
  isDefault: true,
  help: 'build an onion circuit to a peer, measure it, and say what it hides and what not; messages to the peer go over it from then on, unless it is shorter than onion_hops',
  fields: {
    peer,
    hops: { type: 'integer', min: 1, max: 8, help: 'relays at least, the peer itself not counted; by default the option onion_hops' },
    level: { type: 'integer', min: 1, max: 5, values: [1, 3, 5], help: 'level of ML-KEM with every hop; by default the option mlkem_security_level' },
    allowShort: { type: 'boolean', default: false, help: 'take fewer relays where there are fewer, and say so' },
    showPath,
    timeoutMs: timeoutMs(30_000)
  },
  examples: [
    'synaptic-mesh p2p circuit peer-123 --hops 3',
    'synaptic-mesh p2p circuit peer-456 --hops 5',
    'synaptic-mesh p2p circuit peer-456 --hops 5 --allow-short --show-path'
  ],
  errors: [
    'PEER_UNKNOWN',
    'NAME_AMBIGUOUS',
    'CIRCUIT_TOO_FEW_RELAYS',
    'CIRCUIT_NO_ENDPOINT',
    'CIRCUIT_GUARDS_FAILED',
    'CIRCUIT_BUILD_TIMEOUT',
    'CIRCUIT_EXTEND_REFUSED',
    'TIMEOUT'
  ],
  output: (z) =>
    z.strictObject({
      peer: peerReference(z),
      ...circuitInfo(z),
      wanted: z.int(),
      isWarm: z.boolean(),
      /** Whether messages to the peer go over it from now on. */
      carriesMessages: z.boolean(),
      carriesVia: z.boolean(),
      attempts: z.int(),
      buildMs: z.number(),
      stepMs: z.array(z.number()),
      rttMs: z.number(),
      anonymity: anonymity(z)
    }),
  route: { method: 'POST', path: '/v1/circuits/open', scope: 'agent' }
})

export const circuitList = command({
  words: ['circuit', 'list'],
  help: 'list the circuits of this node: those to peers, and the spare ones that are kept ready',
  fields: { showPath },
  examples: ['synaptic-mesh p2p circuit list', 'synaptic-mesh p2p circuit list --show-path --json'],
  errors: [],
  output: (z) => z.strictObject({ circuits: z.array(z.strictObject({ peer: peerReference(z).optional(), ...circuitInfo(z) })) }),
  route: { method: 'GET', path: '/v1/circuits', scope: 'read' }
})

export const circuitClose = command({
  words: ['circuit', 'close'],
  help: 'end a circuit; what is under way over it goes on over another one',
  fields: {
    circuit: {
      type: 'text',
      min: 1,
      max: 16,
      required: true,
      position: 0,
      flag: false,
      help: 'its id, or the beginning of it, as circuit list shows it'
    }
  },
  examples: ['synaptic-mesh p2p circuit close 3f9a12c4'],
  errors: ['CIRCUIT_UNKNOWN'],
  output: (z) => z.strictObject({ circuit: z.string(), closed: z.literal(true) }),
  route: { method: 'POST', path: '/v1/circuits/close', scope: 'agent' }
})

/** What a circuit hides from whom, and how large the crowd is; no relay is named. */
const anonymity = (z: Zod) =>
  z.strictObject({
    hops: z.int(),
    wanted: z.int(),
    policy: z.enum(['lan', 'strict']),
    setSize: z.int(),
    senders: z.int(),
    networks: z.int(),
    operators: z.int(),
    bothEnds: z.array(z.strictObject({ share: z.number(), probability: z.number() })),
    hasTrustedEnd: z.boolean(),
    waivers: z.array(z.enum(['short', 'network', 'family', 'age', 'trust'])),
    hides: z.array(z.string()),
    doesNotHide: z.array(z.string()),
    /** All of it, as people read it. */
    lines: z.array(z.string())
  })

/** What `status` says of circuits. */
export const onionStatus = (z: Zod) =>
  z.strictObject({
    routing: z.boolean(),
    role: z.enum(['relay', 'endpoint', 'none']),
    policy: z.enum(['lan', 'strict']),
    known: z.strictObject({ relays: z.int(), endpoints: z.int() }),
    circuits: z.strictObject({ open: z.int(), spare: z.int() }),
    serving: z.strictObject({ links: z.int(), circuits: z.int(), cells: z.int(), queuedBytes: z.int() }).optional()
  })
