import { setTimeout as delay } from 'node:timers/promises'
import type { Catalogue, InputOf, OutputOf } from '../api/index.ts'
import type { CommandContext } from './context.ts'
import { RemoteDaemon } from './remote.ts'
import { renderers } from './render.ts'

type Picture = OutputOf<Catalogue['top']>
type Status = OutputOf<Catalogue['status']>

/** The node, drawn anew until somebody has seen enough: on a terminal in place, under --json a line each; without either one picture. */
export async function top({ once, intervalMs }: InputOf<Catalogue['top']>, context: CommandContext): Promise<void> {
  const { output } = context
  await using daemon = new RemoteDaemon(context)
  const look = async (before?: Picture): Promise<Picture> => pictureOf(await daemon.call('status', { detailed: true }), before)
  let picture = await look()
  if (once || (!output.isJson && output.columns() === undefined)) return output.result(picture, (value) => renderers.top(value, output))
  const quit = new AbortController()
  const signal = AbortSignal.any([context.signal, quit.signal])
  using screen = output.isJson ? undefined : output.openScreen()
  using keys = output.isJson ? undefined : new Keys(context.stdin, () => quit.abort())
  while (!signal.aborted) {
    if (screen === undefined) await output.result(picture, () => [])
    else screen.draw([...renderers.top(picture, output), ...(keys === undefined ? [] : ['', output.paint('dim', 'q ends it')])])
    await delay(intervalMs, undefined, { signal }).catch(() => undefined)
    if (!signal.aborted) picture = await look(picture)
  }
}

/** What the status says, as one picture; rates since the picture before. */
export function pictureOf(status: Status, before: Picture | undefined, at = Date.now()): Picture {
  const seconds = before === undefined ? 0 : (at - before.at) / 1000
  const rate = (now: number, then: number): number => Math.max(0, (now - then) / seconds)
  const { bytes, peers } = status
  return {
    at,
    peerId: status.peerId,
    name: status.name,
    profile: status.profile,
    uptimeS: status.uptimeS,
    peers: { connected: peers.connected, quantum: peers.quantum, paired: peers.paired, known: peers.known },
    inbox: { unread: status.inbox.unread, held: status.inbox.held },
    outbox: { queued: status.outbox.queued },
    bytes: { sent: bytes.sent, received: bytes.received },
    ...(before === undefined || seconds <= 0
      ? {}
      : { perSecond: { sent: rate(bytes.sent, before.bytes.sent), received: rate(bytes.received, before.bytes.received) } }),
    latencyMs: status.latencyMs,
    sessions: status.quantum.sessions,
    circuits: status.onion.circuits.open,
    rssBytes: status.daemon.rssBytes,
    list: connected(status),
    health: status.health.map(({ code, message, hint }) => ({ code, message, hint }))
  }
}

/** A row for each peer with a connection, its first one. */
function connected({ connections = [], peerList = [] }: Status): Picture['list'] {
  const known = new Map(peerList.map((peer) => [peer.peerId, peer]))
  const rows = new Map<string, Picture['list'][number]>()
  for (const { peerId, name, path, quantumLevel, streams } of connections) {
    if (rows.has(peerId)) continue
    const peer = known.get(peerId)
    const rtt = peer?.rttMs === undefined ? {} : { rttMs: peer.rttMs }
    rows.set(peerId, { peerId, name, paired: peer?.paired === true, path, quantumLevel, ...rtt, streams })
  }
  return [...rows.values()].sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** Keys as they are typed. In raw mode Ctrl-C is a key as well. */
class Keys implements Disposable {
  readonly #stdin: NodeJS.ReadStream
  readonly #onKey: (chunk: Buffer | string) => void

  constructor(stdin: NodeJS.ReadStream, quit: () => void) {
    this.#stdin = stdin
    this.#onKey = (chunk) => {
      const key = chunk.toString()
      // Arrows and their like begin with the escape character as well.
      if (key === '\u001b' || /[qQ\u0003\u0004]/.test(key)) quit()
    }
    if (!stdin.isTTY) return
    stdin.setRawMode(true)
    stdin.on('data', this.#onKey)
    stdin.resume()
  }

  [Symbol.dispose](): void {
    if (!this.#stdin.isTTY) return
    this.#stdin.off('data', this.#onKey)
    this.#stdin.setRawMode(false)
    this.#stdin.pause()
  }
}
