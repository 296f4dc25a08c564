import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ControlClient, scopes, type Scope } from '../../src/api/index.ts'
import { type OptionValue, type ProfilePaths, profilePaths } from '../../src/core/options/index.ts'
import { Daemon } from '../../src/daemon/daemon.ts'
import type { DaemonParts } from '../../src/daemon/parts.ts'
import { prepareProfile } from '../../src/daemon/profile.ts'
import { FakeMesh, ownPeerId } from './fake-mesh.ts'

/** A real daemon in this process around a node in memory. */
export interface Rig {
  readonly daemon: Daemon
  readonly mesh: FakeMesh
  readonly client: ControlClient
  readonly paths: ProfilePaths
  readonly port: number
  token(scope: Scope): string
  log(): readonly Readonly<Record<string, unknown>>[]
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  server.close()
  await once(server, 'close')
  return address.port
}

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sm-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const pathsIn = (folder: string, profile = 'default'): ProfilePaths =>
  profilePaths({ environment: {}, home: folder, platform: process.platform, profile, dataDir: folder })

export const identity: DaemonParts['ensureIdentity'] = async () => ({ peerId: ownPeerId, created: false })

/** Starts one; it ends with the test. */
export async function startRig(t: TestContext, settings: Readonly<Record<string, OptionValue>> = {}): Promise<Rig> {
  const paths = pathsIn(temporaryFolder(t))
  const meshes: FakeMesh[] = []
  const parts: DaemonParts = {
    version: '0.0.0-test',
    ensureIdentity: identity,
    createMesh: async (_paths, options) => {
      const mesh = new FakeMesh(options)
      meshes.push(mesh)
      return mesh
    }
  }
  const port = await freePort()
  await prepareProfile(parts, { paths, settings: { http_port: port, ...settings }, environment: {} })
  const daemon = await Daemon.start(parts, paths, {})
  t.after(() => daemon.stop())
  const [mesh] = meshes
  assert.ok(mesh)
  return {
    daemon,
    mesh,
    paths,
    port,
    client: new ControlClient(paths),
    token: (scope) => readFileSync(join(paths.runtimeFolder, 'tokens', scope), 'utf8').trim(),
    log: () =>
      readFileSync(paths.logFile, 'utf8')
        .trim()
        .split('\n')
        .map((line): Readonly<Record<string, unknown>> => JSON.parse(line))
  }
}

export interface RawAnswer {
  /** 0: the connection was closed without an answer. */
  readonly status: number
  readonly text: string
}

/** Sends `text` as it stands, to a port or a socket, and reads until the other side closes or one whole answer is there. */
export async function raw(target: { readonly port: number } | { readonly path: string }, text: string, waitMs = 5_000): Promise<RawAnswer> {
  const socket = 'port' in target ? connect(target.port, '127.0.0.1') : connect(target.path)
  const { promise, resolve } = Promise.withResolvers<void>()
  let received = ''
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    received += chunk
    const head = /^HTTP\/1\.1 (\d+)[^]*?\r\n\r\n/.exec(received)
    const length = /content-length: (\d+)/i.exec(head?.[0] ?? '')?.[1]
    if (head !== null && length !== undefined && Buffer.byteLength(received) >= head[0].length + Number(length)) resolve()
  })
  socket.once('close', resolve)
  socket.on('error', () => resolve())
  socket.write(text)
  const timer = setTimeout(() => resolve(), waitMs)
  await promise
  clearTimeout(timer)
  socket.destroy()
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(received)?.[1] ?? 0), text: received }
}

export { scopes }
