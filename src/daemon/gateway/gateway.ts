import { once } from 'node:events'
import type { Server } from 'node:http'
import { join } from 'node:path'
import { MeshError } from '../../core/base/index.ts'
import { tokenFileName } from '../../node/keys/backup-format.ts'
import { loopbackDoor } from '../access.ts'
import { type ControlServerParts, createControlServer } from '../control-server.ts'
import { issueTokens } from '../tokens.ts'
import { TokenBook } from './token-book.ts'
import { WebSocketDoor } from './web-socket.ts'

export interface GatewayParts extends ControlServerParts {
  /** Told when it starts and stops listening. */
  onListening(event: 'gateway.started' | 'gateway.stopped', port: number): void
  readonly stateFolder: string
  readonly runtimeFolder: string
}

export interface GatewayPlace {
  readonly port: number
  readonly url: string
  /** Whether it was started for this; otherwise it ran before. */
  readonly started: boolean
}

interface Listener {
  readonly server: Server
  readonly port: number
}

/** Serves the control API on 127.0.0.1, with tokens: on the port of `http_port`, and on the gateway's while that is on. */
export class Gateway {
  readonly #parts: GatewayParts
  readonly #listeners = new Set<Listener>()
  #book: TokenBook | undefined
  #hasRunTokens = false
  #webSockets: Promise<WebSocketDoor> | undefined
  #openSockets: WebSocketDoor | undefined
  #own: Promise<Listener> | undefined

  constructor(parts: GatewayParts) {
    this.#parts = parts
  }

  /** The lasting tokens. @throws {MeshError} CONFIG_MALFORMED, PATH_UNSAFE, PERMISSIONS_UNSAFE when their file cannot be used */
  get tokens(): TokenBook {
    this.#book ??= new TokenBook(join(this.#parts.stateFolder, tokenFileName))
    return this.#book
  }

  /** Where the tokens of this run are. */
  get tokenFolder(): string {
    return join(this.#parts.runtimeFolder, 'tokens')
  }

  /** How many lasting tokens there are, as far as their file was needed yet. */
  get tokenCount(): number {
    return this.#book?.size ?? 0
  }

  get webSockets(): number {
    return this.#openSockets?.size ?? 0
  }

  /** Starts the gateway, or says where it runs. Port 0: any that is free. @throws {MeshError} LISTEN_FAILED, CONFIG_MALFORMED */
  async start(port: number): Promise<GatewayPlace> {
    const isNew = this.#own === undefined
    this.#own ??= this.listen(port)
    try {
      const listener = await this.#own
      return { port: listener.port, url: `http://127.0.0.1:${listener.port}`, started: isNew }
    } catch (error) {
      this.#own = undefined
      throw error
    }
  }

  /** Stops the gateway; whether it ran. */
  async stop(): Promise<boolean> {
    const own = await this.#own?.catch(() => undefined)
    this.#own = undefined
    if (own === undefined) return false
    this.#listeners.delete(own)
    own.server.close()
    own.server.closeAllConnections()
    // Those of the other port come again.
    this.#openSockets?.close()
    this.#parts.onListening('gateway.stopped', own.port)
    return true
  }

  /** Serves on a port of 127.0.0.1 from now on. @throws {MeshError} LISTEN_FAILED */
  async listen(port: number): Promise<Listener> {
    const { tokens } = this
    this.#issueRunTokens(tokens)
    this.#webSockets ??= WebSocketDoor.load(this.#parts)
    const webSockets = await this.#webSockets
    this.#openSockets = webSockets
    let door = loopbackDoor(port, tokens)
    const onUpgrade: ControlServerParts['onUpgrade'] = (request, socket, context) => webSockets.upgrade(request, socket, context)
    const server = createControlServer({ ...this.#parts, onUpgrade }, () => door)
    server.listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch (cause) {
      const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'it cannot be used'
      throw new MeshError('LISTEN_FAILED', { address: `127.0.0.1:${port}`, reason }, { cause })
    }
    const address = server.address()
    const listener = { server, port: typeof address === 'object' && address !== null ? address.port : port }
    door = loopbackDoor(listener.port, tokens)
    this.#listeners.add(listener)
    this.#parts.onListening('gateway.started', listener.port)
    return listener
  }

  /** Ends all connections, so that those whose token was revoked end; the others come again. */
  dropConnections(): void {
    for (const { server } of this.#listeners) server.closeAllConnections()
    this.#openSockets?.close()
  }

  /** Takes no more connections, and ends WebSockets; the rest has a moment to end by itself. */
  close(): readonly Server[] {
    this.#openSockets?.close()
    const servers = [...this.#listeners].map(({ server }) => server)
    for (const server of servers) server.close()
    return servers
  }

  #issueRunTokens(tokens: TokenBook): void {
    if (this.#hasRunTokens) return
    tokens.addRun(issueTokens(this.#parts.runtimeFolder))
    this.#hasRunTokens = true
  }
}
