import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { MeshError } from '../../src/core/base/index.ts'
import { createDaemonModule } from '../../src/daemon/daemon-module.ts'
import type { DaemonParts } from '../../src/daemon/parts.ts'
import { runProcess } from '../../src/daemon/run.ts'
import { encodeSeed, readKeyFile } from '../../src/node/key-file.ts'
import { FakeMesh, ownPeerId } from '../api/fake-mesh.ts'

/** The real daemon around a node in memory. What the node shall do is told by the files next to its keys. */
const parts: DaemonParts = {
  version: '0.0.0-test',
  createMesh: async (paths, options) => {
    const failure = `${paths.stateFolder}/fail-start`
    if (existsSync(failure)) throw new MeshError('LISTEN_FAILED', { address: readFileSync(failure, 'utf8'), reason: 'EADDRINUSE' })
    const mesh = new FakeMesh(options)
    const messages = `${paths.stateFolder}/messages.json`
    if (existsSync(messages))
      for (const message of JSON.parse(readFileSync(messages, 'utf8')))
        mesh.receive(typeof message.body === 'string' ? { ...message, body: new TextEncoder().encode(message.body) } : message)
    return mesh
  },
  ensureIdentity: async (paths) => {
    const created = readKeyFile(paths.identityFile) === undefined
    if (created) writeFileSync(paths.identityFile, encodeSeed(new Uint8Array(32).fill(7)), { mode: 0o600 })
    return { peerId: ownPeerId, created }
  }
}

export const { prepareProfile, inspectProfile, setOption, startDaemon, webhookSecret, tools, benchmark } = createDaemonModule(
  parts,
  async ({ onStep }) => {
    onStep('nothing')
    const times = { count: 100, minMs: 0.5, medianMs: 1.25, p95Ms: 3, maxMs: 12 }
    return {
      signaturesPerSecond: 20_000,
      verificationsPerSecond: 8_000.4,
      kemHandshakesPerSecond: 3_000,
      commitsPerSecond: 1_234.5,
      commitMs: times,
      messagesPerSecond: 5_678,
      messageMs: times
    }
  }
)

if (import.meta.main) await runProcess(parts, process.argv.slice(2))
