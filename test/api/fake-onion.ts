import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { AnonymityReport } from '../../src/core/onion/index.ts'
import type { PeerReference } from '../../src/mesh/mesh.ts'
import type { CircuitCall, CircuitInfo, CircuitReport, OnionStatus } from '../../src/mesh/onion/circuit-report.ts'

const epoch = Date.UTC(2024, 10, 23, 12)
const circuitId = '3f9a12c4'

/** What circuits hide in the mesh of the fake node. */
const anonymity: AnonymityReport = {
  hops: 3,
  wanted: 3,
  policy: 'lan',
  setSize: 6,
  senders: 7,
  networks: 1,
  operators: 6,
  bothEnds: [
    { share: 0.1, probability: 0.01 },
    { share: 0.2, probability: 0.04 }
  ],
  hasTrustedEnd: false,
  waivers: ['network', 'age'],
  hides: ['who talks to whom from every single relay'],
  doesNotHide: ['timing'],
  lines: [
    '3 relays, chosen from 6 (1 network, 6 operators); 7 members could be the sender',
    'waived: members of one network are on the path',
    'hides: who talks to whom from every single relay',
    'does NOT hide: timing'
  ]
}

/** Relays of the fake mesh; nobody is paired with them. */
const relaysOf = (count: number): readonly PeerReference[] =>
  Array.from({ length: count }, (_, index) => ({ peerId: `12D3KooWRelay${index + 1}${'x'.repeat(38)}`, name: `…relay${index + 1}` }))

/** A circuit of the fake node to `peer`; one of more than five relays cannot be built, nor one to `stranger`. */
export function fakeCircuit(peer: PeerReference, call: CircuitCall): CircuitReport {
  const { hops: wanted = 3, level = 3, allowShort = false, showPath = false } = call
  if (peer.name === 'stranger') throw new MeshError('CIRCUIT_NO_ENDPOINT', { peer: peer.name, reason: 'the directory of circuits does not have it' })
  if (wanted > 5 && !allowShort)
    throw new MeshError('CIRCUIT_TOO_FEW_RELAYS', { need: wanted, have: 5, reason: 'besides the destination 7 others are known; not relaying: 2' })
  const hops = Math.min(wanted, 5)
  return {
    ...fakeCircuits(peer, false)[0],
    peer,
    hops,
    path: showPath ? relaysOf(hops) : undefined,
    level: level === 1 ? 1 : level === 5 ? 5 : 3,
    wanted,
    isWarm: hops === 3 && level === 3,
    attempts: hops === 5 ? 2 : 1,
    buildMs: 412.4,
    stepMs: hops === 3 && level === 3 ? [41] : Array.from({ length: hops + 1 }, (_, index) => 41 * (index + 1)),
    rttMs: 162.31,
    carriesVia: hops >= 3 && level === 3,
    carriesMessages: hops >= 3 && level === 3,
    anonymity: { ...anonymity, hops, wanted }
  }
}

export function fakeCircuits(peer: PeerReference, showPath: boolean): readonly [CircuitInfo, CircuitInfo] {
  const path = showPath ? relaysOf(3) : undefined
  const of = { hops: 3, level: 3, openedAt: wallMillis(epoch), path } as const
  const soon = wallMillis(Date.now() + 9.5 * 60_000)
  return [
    { ...of, id: circuitId, state: 'draining', peer, expiresAt: wallMillis(epoch), streams: 1, cells: { sent: 120, received: 98 } },
    { ...of, id: '0a1b2c3d', state: 'ready', peer: undefined, expiresAt: soon, streams: 0, cells: { sent: 1, received: 1 } }
  ]
}

/** Ends the one circuit that there is. */
export function closeFakeCircuit(id: string): string {
  if (!circuitId.startsWith(id)) throw new MeshError('CIRCUIT_UNKNOWN', { circuit: id })
  return circuitId
}

export const fakeOnionStatus: OnionStatus = {
  routing: true,
  role: 'relay',
  policy: 'lan',
  known: { relays: 7, endpoints: 1 },
  circuits: { open: 1, spare: 2 },
  serving: { links: 4, circuits: 9, cells: 12_345, queuedBytes: 0 }
}
