import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type Clock, MeshError, type Random } from '../core/base/index.ts'
import { type AskedServer, type ClassifierInput, type ClassifierOutput, NatClassifier } from '../core/nat/classifier.ts'
import { canonicalIp, type Endpoint, familyOf, isSameEndpoint } from '../core/nat/ip-address.ts'
import { judge } from '../core/nat/nat-verdict.ts'
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
  /** undefined when the name has no address. */
  readonly endpoint: Endpoint | undefined
}

const maxServers = 10
const resolveMs = 700

/** Asks STUN servers over UDP: each over IPv4 when it has such an address, otherwise over IPv6, both at one time. */
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
    if (signal.aborted) throw aborted()
    const located = await Promise.all(servers.slice(0, maxServers).map((server) => this.#locate(server)))
    const [ip4, ip6] = await Promise.all([this.#classify(located, 4, signal), this.#classify(located, 6, signal)])
    // NATs are in IPv4: IPv6 speaks only where that says nothing.
    const { facts } = ip4.facts.udp === 'unknown' ? ip6 : ip4
    const asked = [...ip4.servers, ...ip6.servers]
    return { ...facts, probedAt: this.#clock.wall(), servers: located.map((server) => reportOf(server, asked)) }
  }

  /** A name is asked for at its IPv4 address when it has one. */
  async #locate({ host, port }: Server): Promise<Located> {
    const names = isIP(host) === 0 ? await this.#lookUp(host) : [host]
    const addresses = names.flatMap((name) => canonicalIp(name) ?? [])
    const address = addresses.find((each) => familyOf(each) === 4) ?? addresses[0]
    return { host, port, endpoint: address === undefined ? undefined : { address, port } }
  }

  async #lookUp(host: string): Promise<readonly string[]> {
    let cancel = (): void => undefined
    const late = new Promise<readonly string[]>((resolve) => {
      cancel = this.#timers.schedule(resolveMs, () => resolve([]))
    })
    const addresses = await Promise.race([this.#resolve(host).catch(() => []), late])
    cancel()
    return addresses
  }

  async #classify(located: readonly Located[], family: 4 | 6, signal: AbortSignal): Promise<Done> {
    const found = located.flatMap(({ endpoint }) => (endpoint !== undefined && familyOf(endpoint.address) === family ? [endpoint] : []))
    const servers = found.filter((endpoint, index) => found.findIndex((other) => isSameEndpoint(other, endpoint)) === index)
    const localAddresses = this.#addresses().map(({ address }) => address)
    if (servers.length === 0) return unreachable([], localAddresses)
    using sockets = new ProbeSockets(family)
    const localPort = await sockets.open()
    if (localPort === undefined) return unreachable(servers, localAddresses)
    const machine = new NatClassifier({ random: this.#random, servers, localAddresses, localPort })
    return await this.#drive(machine, sockets, signal)
  }

  #drive(machine: NatClassifier, sockets: ProbeSockets, signal: AbortSignal): Promise<Done> {
    return new Promise((resolve, reject) => {
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
        signal.removeEventListener('abort', onAbort)
        settle()
      }
      const onAbort = (): void => finish(() => reject(aborted()))
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      sockets.listen((input) => driver.input(input))
      driver.input({ type: 'start' })
    })
  }
}

const aborted = (): MeshError => new MeshError('ABORTED', { operation: 'the look at the network' })

type Done = Extract<ClassifierOutput, { readonly type: 'done' }>

/** What is known when nothing can be asked. */
function unreachable(servers: readonly Endpoint[], localAddresses: readonly string[]): Done {
  const nothing = { answers: [], survey: undefined, isHeard: false, isOnline: false, localPort: 0 } as const
  const asked = servers.map((endpoint) => ({ endpoint, result: 'unreachable', roundTripMs: undefined }) as const)
  return { type: 'done', facts: judge({ ...nothing, asked: servers, localAddresses }), servers: asked }
}

function reportOf({ host, port, endpoint }: Located, asked: readonly AskedServer[]): StunServerReport {
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

  /** Resolves with the local port; undefined when the machine does not have this IP version. @throws {Error} when there are no sockets left */
  async open(): Promise<number | undefined> {
    const { mapping } = this.#sockets
    const error = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      mapping.once('error', resolve)
      mapping.bind(0, () => {
        mapping.off('error', resolve)
        resolve(undefined)
      })
    })
    if (error !== undefined && !noWay.includes(error.code ?? '')) throw error
    return error === undefined ? mapping.address().port : undefined
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
