import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { comfortErrors } from '../../src/core/base/comfort-errors.ts'
import { usualKind } from '../../src/cli/service/service-commands.ts'
import { runHere } from '../cli/support.ts'

/** For each code of help and services, what lets the software say it. */
export const comfortProducers: Readonly<Record<keyof typeof comfortErrors, (world: { folder(): string }) => unknown>> = {
  TOPIC_UNKNOWN: (world) => told(world.folder(), ['help', 'teleport']),
  SERVICE_FOREIGN: (world) => {
    const home = world.folder()
    const folder = join(home, '.config', 'systemd', 'user')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'synaptic-mesh.service'), '[Service]\n')
    return told(home, ['service', 'uninstall', '--kind', 'systemd'])
  },
  SERVICE_UNSUPPORTED: () => usualKind('win32')
}

/** The error of a command line that never gets as far as a daemon. */
async function told(home: string, args: readonly string[]): Promise<unknown> {
  const { stderr } = await runHere(['p2p', ...args, '--json'], { HOME: home })
  return JSON.parse(stderr).error
}
