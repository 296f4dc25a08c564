import { command } from '../command.ts'
import { circuitErrors, peer, timeoutMs, via, viaDirect } from './fields.ts'
import { peerInfo, peerReference, quantumReport } from './shapes.ts'

export const discover = command({
  words: ['discover'],
  help: 'look for peers of the network',
  fields: {
    method: { type: 'choice', choices: ['kademlia', 'mdns', 'bootstrap', 'all'], default: 'all', help: 'how to look' },
    count: { type: 'integer', min: 1, max: 1_000, default: 10, help: 'end when this many are found' },
    timeoutMs: timeoutMs(10_000)
  },
  examples: ['synaptic-mesh p2p discover --method kademlia --count 20', 'synaptic-mesh p2p discover --method mdns --count 5'],
  errors: [],
  output: (z) =>
    z.strictObject({
      method: z.enum(['kademlia', 'mdns', 'bootstrap', 'all']),
      wanted: z.int(),
      found: z.int(),
      elapsedMs: z.number(),
      peers: z.array(peerInfo(z))
    }),
  route: { method: 'POST', path: '/v1/discover', scope: 'agent' }
})

export const peers = command({
  words: ['peers'],
  help: 'list the peers that are known, or tell about one',
  fields: { peer: { type: 'text', min: 1, max: 512, position: 0, flag: false, help: 'this peer only' } },
  examples: ['synaptic-mesh p2p peers', 'synaptic-mesh p2p peers agent-001'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS'],
  output: (z) => z.strictObject({ peers: z.array(peerInfo(z)) }),
  route: { method: 'GET', path: '/v1/peers', scope: 'read' }
})

export const ping = command({
  words: ['ping'],
  help: 'measure the round trip to a peer',
  fields: { peer, count: { type: 'integer', min: 1, max: 100, default: 3, help: 'how often' }, via: viaDirect, timeoutMs: timeoutMs(10_000) },
  examples: ['synaptic-mesh p2p ping agent-001 --count 5'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'ONION_ONLY', 'PEER_UNREACHABLE', 'TIMEOUT'],
  output: (z) => z.strictObject({ peer: peerReference(z), rttMs: z.array(z.number()), minMs: z.number(), medianMs: z.number(), maxMs: z.number() }),
  route: { method: 'POST', path: '/v1/ping', scope: 'agent' }
})

export const quantum = command({
  words: ['quantum'],
  help: 'open a quantum-resistant session with a peer and tell what protects it',
  fields: {
    peer,
    level: { type: 'integer', min: 1, max: 5, values: [1, 3, 5], help: "ML-KEM level; the node's own by default" },
    mlDsa: { type: 'boolean', help: 'have both sides sign with ML-DSA-65 besides Ed25519' },
    via: {
      ...via,
      help: 'direct: over a connection with the peer; onion: over a circuit; must be said when onion_routing is on, and is direct otherwise'
    },
    timeoutMs: timeoutMs(10_000)
  },
  examples: ['synaptic-mesh p2p quantum agent-001', 'synaptic-mesh p2p quantum agent-001 --level 5'],
  errors: [
    'PEER_UNKNOWN',
    'NAME_AMBIGUOUS',
    'PEER_UNREACHABLE',
    'TIMEOUT',
    'LEVEL_REFUSED',
    'HANDSHAKE_FAILED',
    'DOWNGRADE_DETECTED',
    'SESSION_UNCONFIRMED',
    'SESSION_AUTH_REFUSED',
    'IDENTITY_MISMATCH',
    'SIGNATURE_INVALID',
    'NETWORK_MISMATCH',
    'ONION_ONLY',
    ...circuitErrors
  ],
  output: quantumReport,
  route: { method: 'POST', path: '/v1/quantum', scope: 'agent' }
})

export const trust = command({
  words: ['trust'],
  help: 'take a peer as it is now: forget what it could do before, after it is known to have gone back to older software or to a new ML-DSA-65 key',
  fields: { peer },
  examples: ['synaptic-mesh p2p trust agent-001'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS'],
  output: (z) => z.strictObject({ peerId: z.string(), name: z.string(), forgotten: z.array(z.enum(['levels', 'ml-dsa-65'])) }),
  route: { method: 'POST', path: '/v1/trust', scope: 'admin' }
})

export const wait = command({
  words: ['wait'],
  help: 'wait until enough peers are connected',
  fields: { peers: { type: 'integer', min: 1, max: 1_000, required: true, placeholder: 'N', help: 'how many' }, timeoutMs: timeoutMs(30_000) },
  examples: ['synaptic-mesh p2p wait --peers 1 --timeout 60'],
  errors: ['TIMEOUT'],
  output: (z) => z.strictObject({ connected: z.int(), ms: z.number() }),
  route: { method: 'POST', path: '/v1/wait', scope: 'read' }
})
