import type { DaemonModule } from '../api/index.ts'
import { Daemon } from './daemon.ts'
import type { DaemonParts } from './parts.ts'
import { webhookSecret } from './webhook-secret.ts'
import { inspectProfile, prepareProfile, setOption } from './profile.ts'

/** What the daemon's bundle offers to the command line. */
export function createDaemonModule(parts: DaemonParts, benchmark: DaemonModule['benchmark']): DaemonModule {
  return {
    prepareProfile: (paths, settings, environment) => prepareProfile(parts, { paths, settings, environment }),
    inspectProfile,
    setOption,
    webhookSecret,
    tools: async () => (await import('./profile-tools/index.ts')).tools,
    benchmark,
    startDaemon: (paths, environment) => Daemon.start(parts, paths, environment)
  }
}
