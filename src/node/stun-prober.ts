import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Clock, MeshError, type Random } from '../core/base/index.ts'
import { type AskedServer, type ClassifierInput, type ClassifierOutput, NatClassifier } from '../core/nat/classifier.ts'
import { canonicalIp, type Endpoint, isSameEndpoint } from '../core/nat/ip-address.ts'
import type { ProbeSocket } from '../core/nat/stun-transaction.ts'
import { systemRandom } from '../crypto/index.ts'
import { Driver } from '../mesh/drive.ts'
import type { InterfaceAddress, NatProbe, StunProbePort, StunServerReport } from '../mesh/nat-ports.ts'
import type { Timers } from '../mesh/ports.ts'
import { systemClock } from './clock.ts'
import { interfaceAddresses } from './network-watch.ts'
import { systemTimers } from './timers.ts'

export interface StunProberOptions {
  readonly clock?: Clock
  readonly timers?: Timers
  readonly random?: Random
  readonly addresses?: () => readonly InterfaceAddress[]
  /** The addresses of a host name; the system's resolver by default. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

interface Server {
  readonly host: string
  readonly port: number
}

interface Located extends Server {
  /** In canonical form; empty when the name has none. */
  readonly addresses: readonly string[]
}

const maxServers = 10
const resolveMs = 700

/** Asks STUN servers over UDP: over IPv4 when any of them has an IPv4 address, because NATs are there, otherwise over IPv6. */
export class StunProber implements StunProbePort {
  readonly #clock: Clock
  readonly #timers: Timers
  readonly #random: Random
  readonly #addresses: () => readonly InterfaceAddress[]
  readonly #resolve: (host: string) => Promise<readonly string[]>

  constructor(options: StunProberOptions = {}) {
    this.#clock = options.clock ?? systemClock()
    this.#timers = options.timers ?? systemTimers
    this.#random = options.random ?? systemRandom
    this.#addresses = options.addresses ?? interfaceAddresses
    this.#resolve = options.resolve ?? (async (host) => (await lookup(host, { all: true })).map(({ address }) => address))
  }

  async probe(servers: readonly Server[], signal: AbortSignal): Promise<NatProbe> {
    const aborted = (): MeshError => new MeshError('ABORTED', { operation: 'the look at the network' })
    if (signal.aborted) throw aborted()
    const located = await Promise.all(servers.slice(0, maxServers).map((server) => this.#locate(server)))
    if (signal.aborted) throw aborted()
    const family = located.some(({ addresses }) => addresses.some((address) => !address.includes(':'))) ? 4 : 6
    const endpointOf = ({ addresses, port }: Located): Endpoint | undefined => {
      const address = addresses.find((each) => each.includes(':') === (family === 6))
      return address === undefined ? undefined : { address, port }
    }
    const found = located.map(endpointOf).filter((endpoint) => endpoint !== undefined)
    const endpoints = found.filter((endpoint, index) => found.findIndex((other) => isSameEndpoint(other, endpoint)) === index)
    const { facts, servers: asked } = await this.#classify(endpoints, { family, signal, aborted })
    const reports = located.map((server) => reportOf(server, endpointOf(server), asked))
    return { ...facts, probedAt: this.#clock.wall(), servers: reports }
  }

  async #locate({ host, port }: Server): Promise<Located> {
    if (isIP(host) !== 0) return { host, port, addresses: [canonicalIp(host) ?? host] }
    let cancel = (): void => undefined
    const late = new Promise<readonly string[]>((resolve) => {
      cancel = this.#timers.schedule(resolveMs, () => resolve([]))
    })
    const addresses = await Promise.race([this.#resolve(host).catch(() => []), late])
    cancel()
    return { host, port, addresses: addresses.flatMap((address) => canonicalIp(address) ?? []) }
  }

  async #classify(endpoints: readonly Endpoint[], run: RunOptions): Promise<Done> {
    using sockets = new ProbeSockets(run.family)
    const localPort = await sockets.open()
    const localAddresses = this.#addresses().map(({ address }) => address)
    const machine = new NatClassifier({ random: this.#random, servers: endpoints, localAddresses, localPort })
    return await new Promise<Done>((resolve, reject) => {
      const driver = new Driver<ClassifierInput, ClassifierOutput>(machine, {
        clock: this.#clock,
        timers: this.#timers,
        perform: (output) => {
          if (output.type === 'send') sockets.send(output)
          else finish(() => resolve(output))
        }
      })
      const finish = (settle: () => void): void => {
        driver.stop()
        run.signal.removeEventListener('abort', onAbort)
        settle()
      }
      const onAbort = (): void => finish(() => reject(run.aborted()))
      run.signal.addEventListener('abort', onAbort, { once: true })
      sockets.listen((input) => driver.input(input))
      driver.input({ type: 'start' })
    })
  }
}

type Done = Extract<ClassifierOutput, { readonly type: 'done' }>

interface RunOptions {
  readonly family: 4 | 6
  readonly signal: AbortSignal
  readonly aborted: () => MeshError
}

function reportOf({ host, port }: Server, endpoint: Endpoint | undefined, asked: readonly AskedServer[]): StunServerReport {
  const found = endpoint === undefined ? undefined : asked.find((each) => isSameEndpoint(each.endpoint, endpoint))
  return { host, port, address: endpoint?.address, result: found?.result ?? 'unresolved', roundTripMs: found?.roundTripMs }
}

/** What the system says when it knows no way to an address. Anything else (a firewall that refuses) is as good as silence. */
const noWay: readonly string[] = ['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']

/** The two UDP sockets of one probe. The second is bound by its first datagram. */
class ProbeSockets implements Disposable {
  readonly #sockets: Readonly<Record<ProbeSocket, Socket>>
  #take: (input: ClassifierInput) => void = () => undefined
  #isClosed = false

  constructor(family: 4 | 6) {
    const type = family === 4 ? 'udp4' : 'udp6'
    this.#sockets = { mapping: this.#socket('mapping', type), filtering: this.#socket('filtering', type) }
  }

  /** Resolves with the local port. @throws {Error} when there are no sockets left */
  async open(): Promise<number> {
    const { mapping } = this.#sockets
    await new Promise<void>((resolve, reject) => {
      mapping.once('error', reject)
      mapping.bind(0, () => {
        mapping.off('error', reject)
        resolve()
      })
    })
    return mapping.address().port
  }

  listen(take: (input: ClassifierInput) => void): void {
    this.#take = take
  }

  send({ socket, destination, bytes }: Extract<ClassifierOutput, { readonly type: 'send' }>): void {
    this.#sockets[socket].send(bytes, destination.port, destination.address, (error) => {
      const isNoWay = error !== null && 'code' in error && noWay.includes(String(error.code))
      if (isNoWay && !this.#isClosed) this.#take({ type: 'unreachable', destination })
    })
  }

  [Symbol.dispose](): void {
    this.#isClosed = true
    for (const socket of Object.values(this.#sockets)) socket.close()
  }

  #socket(name: ProbeSocket, type: 'udp4' | 'udp6'): Socket {
    const socket = createSocket({ type })
    socket.on('message', (bytes: Buffer, { address, port }: RemoteInfo) => {
      const source = { address: canonicalIp(address) ?? address, port }
      if (!this.#isClosed) this.#take({ type: 'packet', socket: name, source, bytes })
    })
    // What cannot be sent is not answered: nothing else follows from it.
    socket.on('error', () => undefined)
    return socket
  }
}
