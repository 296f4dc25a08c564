import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { ControlClient } from '../../src/api/client.ts'
import { type ProfilePaths, profilePaths } from '../../src/core/options/index.ts'
import { prepareProfile } from '../../src/daemon/profile.ts'
import { ensureIdentity } from '../../src/node/identity.ts'
import { checkIntegrity } from '../../src/node/sqlite/integrity.ts'
import { openDatabase } from '../../src/node/sqlite/open.ts'
import { storeFile } from '../../src/node/sqlite/stores.ts'
import { Proc, sleep } from './proc.ts'

/** Longest that a daemon may take until its socket answers. */
const startMs = 30_000

/** One profile with a daemon that is started and killed as often as wanted. */
export class MeshDaemon {
  readonly name: string
  readonly client: ControlClient
  readonly #program: string
  readonly #paths: ProfilePaths
  readonly #arguments: readonly string[]
  #process: Proc | undefined

  private constructor(name: string, program: string, { paths, args }: { readonly paths: ProfilePaths; readonly args: readonly string[] }) {
    this.name = name
    this.#program = program
    this.#paths = paths
    this.#arguments = args
    this.client = new ControlClient(paths)
  }

  /** Makes the profile `name` in `base`, on 127.0.0.1 with a port of its own. `program` is the bundled daemon. */
  static async create(base: string, name: string, program: string): Promise<MeshDaemon> {
    const [dataDir, config] = [join(base, name), join(base, `${name}.toml`)]
    const paths = profilePaths({ profile: name, environment: {}, home: base, platform: process.platform, dataDir, config })
    const settings = {
      name,
      mdns: false,
      listen_addrs: [`/ip4/127.0.0.1/tcp/${await freePort()}`],
      inbox_max_messages: 1_000_000,
      inbox_max_messages_per_peer: 1_000_000
    }
    await prepareProfile({ ensureIdentity: identityOf }, { paths, settings, environment: {} })
    return new MeshDaemon(name, program, { paths, args: ['--profile', name, '--data-dir', dataDir, '--config', config] })
  }

  /** Starts the process; does not wait. `clockShiftMs` moves its wall clock. */
  start(clockShiftMs = 0): void {
    const shim = clockShiftMs === 0 ? [] : ['--import', join(import.meta.dirname, 'clock-shim.mjs')]
    this.#process = Proc.node(['--disable-sigusr1', ...shim, this.#program, ...this.#arguments], {
      cwd: '/',
      env: { CLOCK_SHIFT_MS: String(clockShiftMs) }
    })
  }

  /** Resolves when its socket answers. Rejects when it ends before, with what it wrote. */
  async ready(): Promise<void> {
    const deadline = Date.now() + startMs
    const process = this.#process ?? assert.fail('not started')
    let ending: unknown
    process.ended.then((how) => (ending = how), assert.fail)
    for (;;) {
      try {
        await this.client.call('daemon', {}, { deadlineMs: 5_000 })
        return
      } catch (error) {
        if (ending !== undefined || Date.now() > deadline)
          assert.fail(`the daemon ${this.name} did not start: ${JSON.stringify(ending)} ${String(error)} ${process.errors}`)
        await sleep(5)
      }
    }
  }

  async kill(): Promise<void> {
    await this.#process?.kill()
  }

  /** Ends it cleanly and returns its exit code. */
  async stop(): Promise<number | null> {
    await this.client.call('stop', {})
    return (await this.#process?.ended)?.code ?? null
  }

  /** What SQLite's own check finds in its database; it must not run. */
  integrity(): readonly string[] {
    const database = openDatabase(join(this.#paths.stateFolder, storeFile))
    try {
      return checkIntegrity(database)
    } finally {
      database.close()
    }
  }
}

async function identityOf(paths: ProfilePaths): Promise<{ readonly peerId: string; readonly created: boolean }> {
  const { identity, created } = await ensureIdentity(paths.identityFile)
  return { peerId: identity.peerId, created }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : assert.fail()
}

/** Lets the agent of `sender` know the agent of `recipient`, under its name. */
export async function pair(sender: MeshDaemon, recipient: MeshDaemon): Promise<void> {
  const { invite } = await recipient.client.call('invite', {})
  await sender.client.call('join', { invite, as: recipient.name })
}
