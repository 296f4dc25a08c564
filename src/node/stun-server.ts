import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import { type Clock, MeshError } from '../core/base/index.ts'
import { canonicalIp, type Endpoint, parseIp } from '../core/nat/ip-address.ts'
import { answerStun } from '../core/nat/stun-responder.ts'
import { TokenBuckets } from '../mesh/token-buckets.ts'
import { systemClock } from './clock.ts'

export interface StunServerOptions {
  /** IP addresses to bind, all to one port; `0.0.0.0` and `::` are all of a family. */
  readonly hosts: readonly string[]
  /** 0 = any that is free. */
  readonly port: number
  /** A second IP address and port, different in both from the only host and its port: then CHANGE-REQUEST is answered (RFC 5780). Port 0 = any that is free. */
  readonly other?: { readonly host: string; readonly port: number }
  readonly clock?: Clock
  /** Requests of one source network (/24 of IPv4, /48 of IPv6), and of all together. */
  readonly rates?: Partial<StunServerRates>
}

interface StunServerRates {
  readonly perSecond: number
  readonly burst: number
  readonly allPerSecond: number
}

export interface StunServerCounts {
  readonly answered: number
  /** Over a rate. */
  readonly limited: number
  /** No Binding requests. */
  readonly ignored: number
}

const defaultRates: StunServerRates = { perSecond: 50, burst: 200, allPerSecond: 5_000 }

/** One socket of a server, and the corner that it stands at: which of the two hosts and ports. */
interface Corner {
  readonly socket: Socket
  readonly host: 0 | 1
  readonly port: 0 | 1
  readonly local: Endpoint
}

/** A STUN server: stateless but for its rates. It answers with what it sees of who asks, to there and to nowhere else. */
export class StunServer implements AsyncDisposable {
  readonly #corners: Corner[] = []
  readonly #networks: TokenBuckets
  readonly #all: TokenBuckets
  #answered = 0
  #limited = 0
  #ignored = 0

  private constructor({ clock = systemClock(), rates }: StunServerOptions) {
    const { perSecond, burst, allPerSecond } = { ...defaultRates, ...rates }
    this.#networks = new TokenBuckets({ clock, perSecond, burst })
    this.#all = new TokenBuckets({ clock, perSecond: allPerSecond, burst: allPerSecond })
  }

  /** @throws {MeshError} LISTEN_FAILED when the port is taken or an address is not ours */
  static async start(options: StunServerOptions): Promise<StunServer> {
    const server = new StunServer(options)
    try {
      await server.#listen(options)
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** The first UDP port. */
  get port(): number {
    return this.#corners[0]?.local.port ?? 0
  }

  get counts(): StunServerCounts {
    return { answered: this.#answered, limited: this.#limited, ignored: this.#ignored }
  }

  async stop(): Promise<void> {
    const corners = this.#corners.splice(0)
    await Promise.all(corners.map(({ socket }) => new Promise<void>((resolve) => socket.close(() => resolve()))))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #listen({ hosts, port, other }: StunServerOptions): Promise<void> {
    for (const host of hosts) await this.#open(host, this.port === 0 ? port : this.port, { host: 0, port: 0 })
    const [first = ''] = hosts
    if (other === undefined) return
    await this.#open(other.host, other.port, { host: 1, port: 1 })
    await this.#open(first, this.#corners.at(-1)?.local.port ?? 0, { host: 0, port: 1 })
    await this.#open(other.host, this.port, { host: 1, port: 0 })
  }

  async #open(host: string, port: number, place: Pick<Corner, 'host' | 'port'>): Promise<void> {
    const isIp6 = host.includes(':')
    const socket = createSocket({ type: isIp6 ? 'udp6' : 'udp4', ipv6Only: isIp6 })
    const bound = await new Promise<AddressInfo>((resolve, reject) => {
      socket.once('error', (cause) => {
        socket.close()
        reject(new MeshError('LISTEN_FAILED', { address: `udp ${host} port ${port}`, reason: bindReason(cause, port) }, { cause }))
      })
      socket.bind({ address: host, port }, () => resolve(socket.address()))
    })
    socket.removeAllListeners('error')
    // An answer that cannot be sent is the asker's loss.
    socket.on('error', () => undefined)
    const corner = { socket, ...place, local: { address: canonicalIp(host) ?? host, port: bound.port } }
    this.#corners.push(corner)
    socket.on('message', (bytes: Buffer, source: RemoteInfo) => this.#request(corner, bytes, source))
  }

  #request(corner: Corner, bytes: Uint8Array, from: RemoteInfo): void {
    const source = { address: canonicalIp(from.address) ?? '', port: from.port }
    const isAll = parseIp(corner.local.address)?.every((byte) => byte === 0) ?? true
    const other = this.#corner(corner.host === 0 ? 1 : 0, corner.port === 0 ? 1 : 0)
    const answer = answerStun(bytes, { source, local: isAll ? undefined : corner.local, other: other?.local })
    if (answer === undefined) {
      this.#ignored++
      return
    }
    if (!this.#networks.take(networkOf(source.address)) || !this.#all.take('')) {
      this.#limited++
      return
    }
    this.#answered++
    const sender = this.#corner(turned(corner.host, answer.changeAddress), turned(corner.port, answer.changePort))
    const { socket } = answer.changeAddress || answer.changePort ? (sender ?? corner) : corner
    socket.send(answer.bytes, from.port, from.address, () => undefined)
  }

  /** undefined when the server has one address only. */
  #corner(host: 0 | 1, port: 0 | 1): Corner | undefined {
    return this.#corners.find((corner) => corner.host === host && corner.port === port)
  }
}

const bindReason = (cause: NodeJS.ErrnoException, port: number): string =>
  cause.code === 'EADDRINUSE' ? `the port ${port} is taken` : cause.message.slice(0, 200)

const turned = (side: 0 | 1, isTurned: boolean): 0 | 1 => (isTurned === (side === 0) ? 1 : 0)

/** The network that a source counts for: whoever can forge one address of it, or has it, can have all. */
function networkOf(address: string): string {
  const bytes = parseIp(address) ?? new Uint8Array()
  return bytes.subarray(0, bytes.length === 4 ? 3 : 6).join('.')
}
