import { MeshError, wallMillis } from '../../src/core/base/index.ts'
import type { AnonymityReport } from '../../src/core/onion/index.ts'
import type { PeerReference } from '../../src/mesh/mesh.ts'
import type { CircuitCall, CircuitInfo, CircuitReport, OnionStatus } from '../../src/mesh/onion/circuit-report.ts'

const epoch = Date.UTC(2026, 10, 23, 12)
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
    '3 relays, chosen from 6 (1 networks, 6 operators); 7 members could be the sender',
    'waived: members of one network are on the path',
    'hides: who talks to whom from every single relay',
    'does NOT hide: timing'
  ]
}

/** A circuit of the fake node to `peer`; one of more than five relays cannot be built. */
export function fakeCircuit(
  peer: PeerReference,
  relays: readonly PeerReference[],
  { hops = 3, level = 3, showPath = false }: CircuitCall
): CircuitReport {
  if (hops > 5) throw new MeshError('CIRCUIT_TOO_FEW_RELAYS', { need: hops, have: 5, reason: '7 others are known' })
  return {
    ...fakeCircuits(peer, relays, showPath)[0],
    peer,
    hops,
    level: level === 1 ? 1 : level === 5 ? 5 : 3,
    wanted: hops,
    isWarm: false,
    attempts: 1,
    buildMs: 412.4,
    stepMs: [41, 83, 122, 166],
    rttMs: 162.31,
    anonymity
  }
}

export function fakeCircuits(peer: PeerReference, relays: readonly PeerReference[], showPath: boolean): readonly [CircuitInfo, CircuitInfo] {
  const path = showPath ? relays : undefined
  const times = { openedAt: wallMillis(epoch), expiresAt: wallMillis(epoch + 600_000) }
  const ready = { state: 'ready', hops: 3, level: 3, ...times, path } as const
  return [
    { ...ready, id: circuitId, peer, streams: 1, cells: { sent: 120, received: 98 } },
    { ...ready, id: '0a1b2c3d', peer: undefined, streams: 0, cells: { sent: 9, received: 8 } }
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
