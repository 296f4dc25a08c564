import { wallMillis } from '../../src/core/base/index.ts'
import type { Technique, TraversalAttempt, TraversalMethod } from '../../src/core/nat/index.ts'
import type { MeshOptions } from '../../src/core/options/index.ts'
import type { PeerReference } from '../../src/mesh/mesh.ts'
import { natReport, type NatReport } from '../../src/mesh/nat-report.ts'
import { type NetcheckReport, netcheckReport } from '../../src/mesh/netcheck-report.ts'

/** What the fake node says of a peer: `agent-001` stays relayed, any other one is punched. */
export function fakeNat(peer: PeerReference, fra: PeerReference, method: TraversalMethod): NatReport {
  const isRelayed = peer.name === 'agent-001'
  const reason = isRelayed ? 'punching cannot work between a port-restricted and a symmetric NAT' : undefined
  const last100 = { count: 100, reachable: 1, direct: 0.61 }
  const relay = isRelayed ? fra : undefined
  const path = !isRelayed ? 'punched' : method === 'auto' ? 'relayed' : undefined
  const attempt = (technique: Technique, changes: Partial<TraversalAttempt>): TraversalAttempt => ({
    technique,
    outcome: 'failed',
    atMs: 0,
    ms: 0,
    path: undefined,
    reason,
    ...changes
  })
  const traversal = {
    method,
    result: path ?? 'failed',
    path,
    now: isRelayed ? 'relayed' : 'punched',
    own: 'port-restricted',
    their: isRelayed ? 'symmetric' : 'full-cone',
    attempts: [
      attempt('dial', { ms: 3_000, reason: 'no answer in 3 s' }),
      attempt('relay', { outcome: 'connected', ms: 54, path: 'relayed', reason: undefined }),
      isRelayed ? attempt('ice', { outcome: 'skipped' }) : attempt('ice', { outcome: 'connected', ms: 310.4, path: 'punched', reason: undefined })
    ],
    reason,
    usableMs: 54,
    ms: isRelayed ? 3_000 : 364.4
  } as const
  return natReport(traversal, { peer, relay, retryInMs: isRelayed ? 30_000 : undefined, last100 })
}

/** What the fake node says of its own network. */
export function fakeNetcheck(fra: PeerReference, options: MeshOptions): NetcheckReport {
  const relay = { ...fra, address: `/dns4/relay.example/tcp/9000/p2p/${fra.peerId}` }
  const facts = {
    probe: {
      natClass: 'symmetric',
      mapping: 'address-and-port-dependent',
      filtering: 'address-and-port-dependent',
      udp: 'open',
      publicAddress: { address: '192.0.2.7', port: 40_123 },
      ipv6: false,
      probedAt: wallMillis(1_760_000_000_000),
      servers: [
        { host: 'stun.example', port: 3478, address: '192.0.2.9', result: 'answered', roundTripMs: 21.5 },
        { host: '192.0.2.10', port: 3478, address: '192.0.2.10', result: 'silent', roundTripMs: undefined }
      ]
    },
    interfaces: [{ address: '192.168.1.2', family: 4, isInternal: false }],
    options,
    confirmed: [],
    portMapping: { state: 'none', reason: 'no router answers' },
    relays: [{ ...relay, reserved: true, latencyMs: 21.5 }],
    iceUnavailable: undefined,
    turnServers: 0,
    turnTrouble: undefined
  } as const
  return netcheckReport(facts, 510.4)
}
