import { MeshError } from '../../core/base/index.ts'
import { wirePeer } from '../convert.ts'
import { type Handler, present } from './context.ts'

export const discover: Handler<'discover'> = async (input, { mesh, signal }) => {
  const report = await mesh.discover({ method: input.method, count: input.count, timeoutMs: input.timeoutMs, signal })
  const { method, wanted, found, elapsedMs } = report
  return { method, wanted, found, elapsedMs, peers: report.peers.map(wirePeer) }
}

export const peers: Handler<'peers'> = async (input, { mesh }) => {
  const found = input.peer === undefined ? await mesh.peers() : [await mesh.peer(input.peer)]
  return { peers: found.map(wirePeer) }
}

export const ping: Handler<'ping'> = async (input, { mesh, signal }) => {
  const { peer, rttMs } = await mesh.ping(input.peer, { count: input.count, timeoutMs: input.timeoutMs, signal, ...present({ via: input.via }) })
  const sorted = rttMs.toSorted((a, b) => a - b)
  const at = (index: number): number => sorted.at(index) ?? 0
  return {
    peer: { peerId: peer.peerId, name: peer.name },
    rttMs: [...rttMs],
    minMs: at(0),
    medianMs: at(Math.floor(sorted.length / 2)),
    maxMs: at(-1)
  }
}

export const quantum: Handler<'quantum'> = async (input, { mesh, signal }) => {
  const report = await mesh.quantum(input.peer, {
    timeoutMs: input.timeoutMs,
    signal,
    ...present({ level: input.level, mlDsa: input.mlDsa, via: input.via })
  })
  const { peer, level, kem, hybrid, suite, authentication, path, words, handshakeBytes, handshakeMs, rekey } = report
  return {
    peerId: peer.peerId,
    name: peer.name,
    level,
    kem,
    hybrid,
    suite,
    authentication,
    path,
    words: [...words],
    bytes: handshakeBytes,
    handshakeMs,
    rekey: { records: rekey.records, bytes: rekey.bytes, seconds: rekey.ms / 1_000 }
  }
}

export const trust: Handler<'trust'> = async (input, { mesh }) => {
  const { peer, forgotten } = await mesh.trust(input.peer)
  return { peerId: peer.peerId, name: peer.name, forgotten: [...forgotten] }
}

export const wait: Handler<'wait'> = async (input, { mesh, signal }) => {
  const started = performance.now()
  const deadline = AbortSignal.timeout(input.timeoutMs)
  const ended = AbortSignal.any([signal, deadline])
  for (;;) {
    const changed = nextPeerEvent(mesh, ended)
    const { connected } = (await mesh.status()).peers
    if (connected >= input.peers) {
      changed.off()
      return { connected, ms: Math.round(performance.now() - started) }
    }
    await changed.happened
    if (signal.aborted) throw new MeshError('ABORTED', { operation: 'wait' })
    if (deadline.aborted)
      throw new MeshError('TIMEOUT', { operation: `Waiting for ${input.peers} peers (${connected} are connected)`, timeoutMs: input.timeoutMs })
  }
}

function nextPeerEvent(mesh: Parameters<typeof wait>[1]['mesh'], ended: AbortSignal): { readonly happened: Promise<void>; off(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const finish = (): void => {
    off()
    ended.removeEventListener('abort', finish)
    resolve()
  }
  const off = mesh.on('peer', finish)
  ended.addEventListener('abort', finish, { once: true })
  if (ended.aborted) finish()
  return { happened: promise, off: finish }
}
