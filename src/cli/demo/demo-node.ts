import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ControlClient, fromWireError, type OutputOf, type Operations } from '../../api/index.ts'
import { MeshError } from '../../core/base/index.ts'
import { type OptionValue, type ProfilePaths, profilePaths } from '../../core/options/index.ts'
import type { CommandContext } from '../context.ts'
import { daemonEnvironment, daemonNodeFlags, readNotice } from '../daemon-process.ts'

const startMs = 60_000
const stopMs = 10_000

/** One node of the demo: a real daemon in a process of its own, with its own keys and databases. */
export class DemoNode {
  readonly name: string
  readonly client: ControlClient
  readonly #context: CommandContext
  readonly #paths: ProfilePaths
  readonly #folder: string
  #child: ChildProcess | undefined
  #about: OutputOf<Operations['daemon']> | undefined

  constructor(context: CommandContext, place: { readonly folder: string; readonly name: string }) {
    this.#context = context
    this.#folder = place.folder
    this.name = place.name
    this.#paths = profilePaths({ environment: {}, home: place.folder, platform: process.platform, profile: place.name, dataDir: place.folder })
    this.client = new ControlClient(this.#paths)
  }

  get address(): string {
    return this.#about?.addresses[0] ?? ''
  }

  get peerId(): string {
    return this.#about?.peerId ?? ''
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Makes identity and configuration. */
  async prepare(settings: Readonly<Record<string, OptionValue>>): Promise<void> {
    const module = await this.#context.loadDaemonModule()
    await module.prepareProfile(this.#paths, settings, {})
  }

  /** Starts the process; resolves when the node answers. */
  async start(): Promise<void> {
    const args = [...daemonNodeFlags, fileURLToPath(this.#context.daemonEntry), '--profile', this.name, '--data-dir', this.#folder, '--notify']
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      env: daemonEnvironment(cleanEnvironment(this.#context.environment))
    })
    this.#child = child
    const { signal } = this.#context
    const notice = await readNotice(child.stdio[3] as NodeJS.ReadableStream, AbortSignal.any([signal, AbortSignal.timeout(startMs)]))
    if (signal.aborted) throw new MeshError('ABORTED', { operation: 'demo' })
    if (notice === undefined) throw new MeshError('DAEMON_START_FAILED', { profile: this.name, reason: 'it did not answer' })
    if (!notice.ready) throw fromWireError(notice, this.name)
    this.#about = await this.client.call('daemon', {}, { signal })
  }

  /** Ends the process as a power switch would: nothing is written, nothing is said. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMs)
    await ended
    clearTimeout(timer)
  }
}

/** The demo's nodes take nothing of the user's own configuration. */
function cleanEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('SYNAPTIC_') && !name.startsWith('XDG_')))
}
