import { version } from '../core/base/index.ts'
import { createDaemonModule } from './daemon-module.ts'
import type { DaemonParts } from './parts.ts'
import { runProcess } from './run.ts'

/** What the network needs is loaded when a node starts: the command line also comes here to read a configuration. */
const parts: DaemonParts = {
  version,
  createMesh: async (paths, options, onLog) => {
    const { createMesh } = await import('../node/create-mesh.ts')
    return createMesh({ ...options }, { stateFolder: paths.stateFolder, identityFile: paths.identityFile, onLog })
  },
  ensureIdentity: async ({ identityFile }, passphraseFile) => {
    const { ensureIdentity } = await import('../node/identity.ts')
    const { changePassphrase, readKeyFile } = await import('../node/key-file.ts')
    const { identity, created } = await ensureIdentity(identityFile, passphraseFile)
    if (passphraseFile !== '' && readKeyFile(identityFile)?.isEncrypted === false) await changePassphrase(identityFile, '', passphraseFile)
    return { peerId: identity.peerId, created }
  }
}

export const { prepareProfile, inspectProfile, setOption, startDaemon, webhookSecret, tools, benchmark } = createDaemonModule(parts, async (call) => {
  const measure = await import('../node/benchmark.ts')
  return measure.benchmark(call)
})

if (import.meta.main) await runProcess(parts, process.argv.slice(2))
