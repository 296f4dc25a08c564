import { prometheusContentType } from '../../core/metrics/index.ts'
import type { DetailedStatus, MeshStatus } from '../../mesh/mesh.ts'
import { wirePeer } from '../convert.ts'
import { type Context, type Handler, present } from './context.ts'
import { wireRates } from './nat.ts'

export const status: Handler<'status'> = async (input, context) => {
  if (!input.detailed) return common(await context.mesh.status(), context)
  const detailed = await context.mesh.detailedStatus()
  return { ...common(detailed, context), ...details(detailed) }
}

function common(status: MeshStatus, { self }: Context) {
  const { peerId, name, network, uptimeS, reachability, peers, quantum, inbox, outbox, bytes, latencyMs } = status
  const { p50, p95, p99 } = latencyMs
  return {
    peerId,
    profile: self.profile,
    name,
    network,
    uptimeS,
    addresses: [...status.addresses],
    reachability,
    peers: { connected: peers.connected, quantum: peers.quantum, paired: peers.paired, known: peers.known, blocked: peers.blocked },
    quantum: {
      policy: quantum.policy,
      level: quantum.level,
      sessions: quantum.sessions,
      failures: { connections: { ...quantum.failures.connections }, sessions: { ...quantum.failures.sessions } }
    },
    inbox: { unread: inbox.unread, held: inbox.held, strangers: inbox.strangers },
    outbox: { queued: outbox.queued },
    bytes: { sent: bytes.sent, received: bytes.received },
    latencyMs: { p50, p95, p99 },
    relays: status.relays.map(({ peerId: relay, address, reserved, latencyMs: ms }) => ({
      peerId: relay,
      address,
      reserved,
      ...(ms === undefined ? {} : { latencyMs: ms })
    })),
    ...(status.serving === undefined ? {} : { serving: { ...status.serving, refused: { ...status.serving.refused } } }),
    onion: onionOf(status),
    nat: { ...wireRates(status.nat), last100: wireRates(status.nat.last100) },
    health: status.health.map(({ code, message, hint }) => ({ code, message, hint })),
    daemon: { pid: self.pid, socket: self.socket, rssBytes: process.memoryUsage.rss() }
  }
}

const onionOf = ({ onion }: MeshStatus) => ({
  routing: onion.routing,
  role: onion.role,
  policy: onion.policy,
  known: { ...onion.known },
  circuits: { ...onion.circuits },
  ...(onion.serving === undefined ? {} : { serving: { ...onion.serving } })
})

function details(status: DetailedStatus) {
  const connections = status.connections.map((connection) => {
    const { peerId, name, address, direction, path, encryption, quantumLevel, multiplexer, openedAt, streams } = connection
    return { peerId, name, address, direction, path, encryption, quantumLevel, multiplexer, openedAt, streams }
  })
  const sessions = status.sessions.map((session) => {
    const { peerId, name, level, kem, hybrid, suite, authentication, direction, path, openedAt, endedAt, words, epoch } = session
    const known = { ...present({ endedAt }), ...(words === undefined ? {} : { words: [...words] }) }
    return { peerId, name, level, kem, hybrid, suite, authentication, direction, path, openedAt, ...known, epoch }
  })
  return { peerList: status.peerList.map(wirePeer), connections, sessions, versions: { ...status.versions } }
}

export const metrics: Handler<'metrics'> = async (_input, context) => ({
  contentType: prometheusContentType,
  text: await context.metrics()
})

export const stop: Handler<'stop'> = async (_input, context) => {
  context.requestStop()
  return { profile: context.self.profile, stopped: true, pid: context.self.pid }
}

export const daemon: Handler<'daemon'> = async (_input, { mesh, self }) => {
  const { profile, pid, version, socket } = self
  return { profile, pid, version, peerId: mesh.peerId, socket, addresses: [...mesh.addresses()] }
}
