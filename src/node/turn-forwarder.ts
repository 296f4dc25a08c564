import { createSocket, type Socket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import type { IceServer } from '../mesh/ice/ice-port.ts'

/**
 * A UDP port on loopback that leads to one TURN server and nowhere else. The library checks from its own socket even when it is told to use relayed addresses
 * only; a socket on loopback that knows this port reaches nobody else.
 */
export class TurnForwarder {
  readonly #inner: Socket
  readonly #outer: Socket
  #client: number | undefined
  #isClosed = false

  /** @throws Error when the server's name has no address */
  static async open(server: IceServer): Promise<TurnForwarder> {
    const { address, family } = await lookup(server.host)
    const inner = createSocket('udp4')
    const outer = createSocket(family === 6 ? 'udp6' : 'udp4')
    const forwarder = new TurnForwarder(inner, outer)
    try {
      inner.bind(0, '127.0.0.1')
      outer.connect(server.port, address)
      await Promise.all([once(inner, 'listening'), once(outer, 'connect')])
      return forwarder
    } catch (error) {
      forwarder.close()
      throw error
    }
  }

  private constructor(inner: Socket, outer: Socket) {
    this.#inner = inner
    this.#outer = outer
    // Nobody else on this machine shall speak to the server through it: the first one is the library.
    inner.on('message', (datagram, { port }) => {
      this.#client ??= port
      if (port === this.#client) outer.send(datagram, ignored)
    })
    outer.on('message', (datagram) => {
      if (this.#client !== undefined) inner.send(datagram, this.#client, '127.0.0.1', ignored)
    })
    // What a router refuses (ECONNREFUSED) is as good as lost.
    inner.on('error', ignored)
    outer.on('error', ignored)
  }

  get port(): number {
    return this.#inner.address().port
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#inner.close()
    this.#outer.close()
  }
}

const ignored = (): void => undefined
