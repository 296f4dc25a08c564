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
  ensureIdentity: async (paths) => {
    const { ensureIdentity } = await import('../node/identity.ts')
    const { identity, created } = await ensureIdentity(paths.identityFile)
    return { peerId: identity.peerId, created }
  }
}

export const { prepareProfile, inspectProfile, setOption, startDaemon } = createDaemonModule(parts)

if (import.meta.main) await runProcess(parts, process.argv.slice(2))
