import type { Server } from 'node:http'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MeshError, toMeshError, utf8 } from '../core/base/index.ts'
import type { MeshOptions, ProfilePaths } from '../core/options/index.ts'
import type { OperationName, RunningDaemon } from '../api/index.ts'
import type { Mesh } from '../mesh/mesh.ts'
import { socketDoor } from './access.ts'
import { Claims } from './claims.ts'
import { bindControlSocket } from './control-socket.ts'
import { type ControlServerParts, createControlServer, type Perform } from './control-server.ts'
import { EventFeed } from './gateway/event-feed.ts'
import { Gateway } from './gateway/gateway.ts'
import { GatewayMetrics } from './gateway/gateway-metrics.ts'
import { pagesOf } from './gateway/pages.ts'
import { DaemonLog, RotatingFile } from './log.ts'
import { handlers, streamHandlers } from './operations/index.ts'
import type { DaemonParts } from './parts.ts'
import { ensurePrivateFolder, writePrivateFile } from '../node/files.ts'
import { loadOptions } from './profile.ts'

const stopMs = 10_000

/** Runs one profile's node and answers on its socket until it is stopped. */
export class Daemon implements RunningDaemon {
  readonly pid = process.pid
  readonly #parts: DaemonParts
  readonly #paths: ProfilePaths
  readonly #options: MeshOptions
  readonly #log: DaemonLog
  readonly #servers: Server[] = []
  readonly #metrics = new GatewayMetrics()
  readonly #gateway: Gateway
  readonly #ready = Promise.withResolvers<Running>()
  readonly #ended = Promise.withResolvers<MeshError | undefined>()
  readonly #claims = new Claims()
  #mesh: Mesh | undefined
  #stopping: Promise<void> | undefined
  #failure: MeshError | undefined

  private constructor(parts: DaemonParts, profile: { readonly paths: ProfilePaths; readonly options: MeshOptions; readonly log: DaemonLog }) {
    this.#parts = parts
    this.#paths = profile.paths
    this.#options = profile.options
    this.#log = profile.log
    const { stateFolder, runtimeFolder } = profile.paths
    this.#gateway = new Gateway({
      ...this.#serverParts(),
      stateFolder,
      runtimeFolder,
      onListening: (event, port) => this.#log.record({ level: 'info', event, fields: { port } })
    })
    this.#ready.promise.catch(() => undefined)
  }

  /** Starts; resolves when the node runs and the socket answers. @throws {MeshError} NOT_INITIALIZED, DAEMON_RUNNING, LISTEN_FAILED, … */
  static async start(parts: DaemonParts, paths: ProfilePaths, environment: Readonly<Record<string, string | undefined>>): Promise<Daemon> {
    const options = loadOptions(paths, environment)
    ensurePrivateFolder(paths.stateFolder)
    ensurePrivateFolder(paths.runtimeFolder)
    const log = new DaemonLog(new RotatingFile(paths.logFile), options.logLevel, parts.logCopy)
    const daemon = new Daemon(parts, { paths, options, log })
    try {
      await daemon.#start()
      return daemon
    } catch (error) {
      log.error(error, { step: 'start', profile: paths.profile })
      daemon.#ready.reject(error)
      await daemon.stop()
      throw error
    }
  }

  /** Resolves when the daemon has stopped: with the error that made it stop, or with undefined when it was asked to. */
  get ended(): Promise<MeshError | undefined> {
    return this.#ended.promise
  }

  /** Stops cleanly; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #start(): Promise<void> {
    const socketServer = createControlServer(this.#serverParts(), () => socketDoor)
    await bindControlSocket(socketServer, this.#paths)
    this.#servers.push(socketServer)
    writePrivateFile(join(this.#paths.runtimeFolder, 'daemon.pid'), utf8(`${this.pid}\n`))
    if (this.#options.httpPort !== 0) await this.#gateway.listen(this.#options.httpPort)
    if (this.#options.gateway) await this.#gateway.start(this.#options.gatewayPort)
    const mesh = await this.#parts.createMesh(this.#paths, this.#options, (record) => this.#log.record(record))
    this.#mesh = mesh
    mesh.on('fatal', (report) => this.#fail(new MeshError(report.code, { reason: report.message })))
    this.#log.record({
      level: 'info',
      event: 'daemon.started',
      fields: { pid: this.pid, peerId: mesh.peerId, addresses: mesh.addresses(), version: this.#parts.version }
    })
    this.#ready.resolve({ mesh, feed: new EventFeed(mesh, (events) => this.#metrics.missed(events)) })
  }

  #serverParts(): ControlServerParts {
    return {
      perform: this.#perform,
      pages: pagesOf({
        version: this.#parts.version,
        metrics: async () => this.#metricsText(await this.#running()),
        isHealthy: async () => (await (await this.#running()).mesh.status()).health.length === 0
      }),
      onAnswer: (status) => this.#metrics.answered(status),
      onError: (error, where) => this.#log.error(error, where)
    }
  }

  async #metricsText({ mesh, feed }: Running): Promise<string> {
    const { webSockets, tokenCount } = this.#gateway
    return (await mesh.metrics()) + this.#metrics.text({ events: feed.readers, webSockets, tokens: tokenCount })
  }

  async #running(): Promise<Running> {
    const running = await this.#ready.promise
    if (this.#stopping !== undefined) throw new MeshError('SHUTTING_DOWN')
    return running
  }

  readonly #perform: Perform = async (name, input, { signal, caller }) => {
    const running = await this.#running()
    const { profile, socketPath } = this.#paths
    const context = {
      mesh: running.mesh,
      feed: running.feed,
      gateway: this.#gateway,
      metrics: () => this.#metricsText(running),
      signal,
      caller,
      claims: this.#claims,
      self: { profile, stateFolder: this.#paths.stateFolder, socket: socketPath, pid: this.pid, version: this.#parts.version },
      requestStop: () => this.#stopSoon()
    }
    // The catalogue has checked that the input is the operation's own.
    const run = handlerOf(name)
    return run(input, context)
  }

  /** Lets the answer out first. */
  #stopSoon(): void {
    setImmediate(() => void this.stop())
  }

  #fail(error: MeshError): void {
    this.#failure ??= error
    this.#log.error(error, { step: 'running' })
    void this.stop()
  }

  async #stop(): Promise<void> {
    for (const server of this.#servers) server.close()
    this.#servers.push(...this.#gateway.close())
    const deadline = setTimeout(() => this.#servers.forEach((server) => server.closeAllConnections()), 1_000)
    for (const server of this.#servers) server.closeIdleConnections()
    await this.#stopMesh()
    clearTimeout(deadline)
    for (const server of this.#servers) server.closeAllConnections()
    if (this.#servers.length > 0) await rm(join(this.#paths.runtimeFolder, 'daemon.pid'), { force: true }).catch(() => undefined)
    this.#log.record({ level: 'info', event: 'daemon.stopped', fields: { pid: this.pid } })
    this.#log.close()
    this.#ended.resolve(this.#failure)
  }

  async #stopMesh(): Promise<void> {
    if (this.#mesh === undefined) return
    const expired = Promise.withResolvers<'expired'>()
    const timer = setTimeout(() => expired.resolve('expired'), stopMs)
    try {
      const outcome = await Promise.race([this.#mesh.stop(), expired.promise])
      if (outcome === 'expired') this.#failure ??= new MeshError('TIMEOUT', { operation: 'Stopping', timeoutMs: stopMs })
    } catch (error) {
      this.#failure ??= toMeshError(error)
      this.#log.error(error, { step: 'stop' })
    } finally {
      clearTimeout(timer)
    }
  }
}

interface Running {
  readonly mesh: Mesh
  readonly feed: EventFeed
}

type AnyHandler = (input: object, context: Parameters<(typeof handlers)['status']>[1]) => Promise<unknown>

const anyHandlers = new Map<string, AnyHandler>([
  ...Object.entries(handlers).map(([name, handler]) => [name, handler as AnyHandler] as const),
  ...Object.entries(streamHandlers).map(
    ([name, handler]) => [name, async (input: object, context) => handler(input as never, context)] as const satisfies [string, AnyHandler]
  )
])

function handlerOf(name: OperationName): AnyHandler {
  const handler = anyHandlers.get(name)
  if (handler === undefined) throw new MeshError('ROUTE_UNKNOWN', { route: name })
  return handler
}
