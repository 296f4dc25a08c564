import { command, type Zod } from '../command.ts'

/** Managers of services for which `service` writes files. */
export const serviceKinds = ['systemd', 'launchd'] as const

const kind = {
  type: 'choice',
  choices: serviceKinds,
  help: 'which manager of services; launchd on macOS, systemd elsewhere'
} as const

const place = (z: Zod) => ({ kind: z.enum(serviceKinds), name: z.string(), file: z.string() })
const errors = ['SERVICE_UNSUPPORTED', 'SERVICE_FOREIGN', 'NOT_INITIALIZED', 'PATH_UNSAFE'] as const

export const serviceInstall = command({
  words: ['service', 'install'],
  help: 'have the daemon of the profile started whenever you log in: writes the file of a user service and says what to run next',
  fields: { kind, print: { type: 'boolean', default: false, help: 'print the file instead of writing it' } },
  examples: ['synaptic-mesh p2p service install', 'synaptic-mesh p2p service install --print'],
  errors: [...errors],
  output: (z) => z.strictObject({ ...place(z), text: z.string(), changed: z.boolean(), next: z.array(z.string()) })
})

export const serviceUninstall = command({
  words: ['service', 'uninstall'],
  help: 'remove the file that `service install` wrote',
  fields: { kind },
  examples: ['synaptic-mesh p2p service uninstall'],
  errors: ['SERVICE_UNSUPPORTED', 'SERVICE_FOREIGN', 'PATH_UNSAFE'],
  output: (z) => z.strictObject({ ...place(z), removed: z.boolean(), next: z.array(z.string()) })
})

export const serviceStatus = command({
  words: ['service', 'status'],
  isDefault: true,
  help: 'tell whether the service of the profile is installed, enabled and running',
  fields: { kind },
  examples: ['synaptic-mesh p2p service status'],
  errors: ['SERVICE_UNSUPPORTED'],
  output: (z) =>
    z.strictObject({
      ...place(z),
      installed: z.enum(['no', 'current', 'outdated', 'foreign']),
      /** What the manager of services says; unknown where it cannot be asked. */
      enabled: z.string(),
      active: z.string(),
      next: z.array(z.string())
    })
})

export const servicePrint = command({
  words: ['service', 'print'],
  help: 'print the file that `service install` would write, and nothing else',
  fields: { kind },
  examples: ['synaptic-mesh p2p service print', 'synaptic-mesh p2p service print --kind launchd'],
  errors: ['SERVICE_UNSUPPORTED'],
  output: (z) => z.strictObject({ ...place(z), text: z.string() })
})
