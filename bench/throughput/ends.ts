import { once } from 'node:events'
import { type Socket, connect, createServer } from 'node:net'
import type { ComponentLogger, Logger, MessageStream, MultiaddrConnection, Upgrader } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { classicalId, hybridId, type NoiseSide, ourSide, stockSide } from '../../test/net/noise-pair.ts'

/** What carries the bytes. */
export const contestants = ['raw TCP', 'stock /noise', 'ours /noise', 'hybrid level 3'] as const
export type Contestant = (typeof contestants)[number]

/** The end that sends. */
export interface Sender {
  send(bytes: Uint8Array, count: number): Promise<void>
  close(): void
}

/** The end that receives. */
export interface Receiver {
  /** Resolves when so many more bytes have come. */
  receive(bytes: number): Promise<void>
  close(): void
}

const quiet = (): Logger => Object.assign((): void => undefined, { enabled: false, trace: quietTrace, error: (): void => undefined, newScope: quiet })
const quietTrace = Object.assign((): void => undefined, { enabled: false })
const logger: ComponentLogger = { forComponent: quiet }

const protocolOf = (name: Contestant): string => (name === 'hybrid level 3' ? hybridId : classicalId)
/** The levels of the two ends of our /noise have nothing in common: what is left is /noise. */
const sideOf = (name: Contestant, end: 'sender' | 'receiver'): Promise<NoiseSide> => {
  if (name === 'stock /noise') return stockSide()
  if (name === 'hybrid level 3') return ourSide()
  return ourSide({ levels: [end === 'sender' ? 1 : 5] })
}

/** libp2p's TCP, that hands out each connection before anything is negotiated. */
const transport = (): ReturnType<ReturnType<typeof tcp>> =>
  tcp({ dialOpts: { noDelay: true }, listenOpts: { noDelay: true } })({ logger, events: new EventTarget() } as never)

/** Waits for `wanted` bytes. */
class Counter {
  #wanted = 0
  #done = (): void => undefined

  expect(bytes: number): Promise<void> {
    this.#wanted += bytes
    return new Promise((resolve) => (this.#done = resolve))
  }

  count(bytes: number): void {
    this.#wanted -= bytes
    if (this.#wanted === 0) this.#done()
  }
}

export interface Listening {
  readonly port: number
  readonly receiver: Promise<Receiver>
}

/** Listens on 127.0.0.1 for one sender. */
export async function listen(name: Contestant): Promise<Listening> {
  const counter = new Counter()
  const receive = (bytes: number): Promise<void> => counter.expect(bytes)
  if (name === 'raw TCP') {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const receiver = once(server, 'connection').then(([socket]: Socket[]): Receiver => {
      socket?.on('data', (data) => counter.count(data.length))
      return { receive, close: () => (socket?.destroy(), server.close()) }
    })
    const address = server.address()
    return { port: typeof address === 'object' ? (address?.port ?? 0) : 0, receiver }
  }
  const { promise, resolve } = Promise.withResolvers<MultiaddrConnection>()
  const listener = transport().createListener({ upgrader: { upgradeInbound: async (raw: MultiaddrConnection) => resolve(raw) } as never as Upgrader })
  await listener.listen(multiaddr('/ip4/127.0.0.1/tcp/0'))
  const secured = async (): Promise<Receiver> => {
    const side = await sideOf(name, 'receiver')
    const connection = await side.encrypters.get(protocolOf(name))?.secureInbound(await promise)
    connection?.connection.addEventListener('message', ({ data }) => counter.count(data.byteLength))
    return { receive, close: () => void listener.close() }
  }
  return { port: Number(/\/tcp\/(\d+)/.exec(String(listener.getAddrs()[0]))?.[1]), receiver: secured() }
}

/** Connects to a receiver. */
export async function call(name: Contestant, port: number): Promise<Sender> {
  if (name === 'raw TCP') {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const send = async (bytes: Uint8Array, count: number): Promise<void> => {
      for (let index = 0; index < count; index++) if (!socket.write(bytes)) await once(socket, 'drain')
    }
    return { send, close: () => socket.destroy() }
  }
  const upgrader = { upgradeOutbound: async (connection: MultiaddrConnection) => connection }
  // The signal of a dial would end the connection at any time.
  const dialled = transport().dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`), { upgrader: upgrader as never, signal: new AbortController().signal })
  const raw = (await dialled) as never as MultiaddrConnection
  const side = await sideOf(name, 'sender')
  const secured = await side.encrypters.get(protocolOf(name))?.secureOutbound(raw)
  if (secured === undefined) throw new Error(`no ${protocolOf(name)}`)
  const { connection } = secured
  const send = async (bytes: Uint8Array, count: number): Promise<void> => {
    // onDrain() of libp2p 3.3 waits for the first drain only.
    for (let index = 0; index < count; index++) if (!connection.send(bytes)) await drained(connection)
  }
  return { send, close: () => raw.abort(new Error('the bench is over')) }
}

const drained = (stream: MessageStream): Promise<unknown> => new Promise((resolve) => stream.addEventListener('drain', resolve, { once: true }))
