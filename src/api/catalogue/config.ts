import { command } from '../command.ts'
import { optionValue } from './shapes.ts'

const key = { type: 'text', min: 1, max: 64, position: 0, flag: false, help: 'an option, such as max_peers' } as const

export const configGet = command({
  words: ['config', 'get'],
  isDefault: true,
  help: 'print options with where their values come from',
  fields: { key },
  examples: ['synaptic-mesh p2p config get', 'synaptic-mesh p2p config get max_peers'],
  errors: ['OPTION_UNKNOWN', 'CONFIG_MALFORMED', 'OPTION_INVALID'],
  output: (z) =>
    z.strictObject({
      options: z.array(z.strictObject({ option: z.string(), value: optionValue(z), source: z.enum(['flag', 'environment', 'file', 'default']) }))
    })
})

export const configSet = command({
  words: ['config', 'set'],
  help: 'change one option in the configuration file',
  fields: {
    key: { ...key, required: true },
    value: {
      type: 'list',
      maxItems: 64,
      maxCharacters: 300,
      takesEmpty: true,
      required: true,
      position: 1,
      flag: false,
      help: "its value; a list takes several; '' empties a text or a list"
    }
  },
  examples: ['synaptic-mesh p2p config set max_peers 100'],
  errors: ['OPTION_UNKNOWN', 'OPTION_INVALID', 'ADDRESS_INVALID', 'NOT_AVAILABLE', 'CONFIG_MALFORMED', 'NOT_INITIALIZED'],
  output: (z) => z.strictObject({ option: z.string(), value: optionValue(z), changed: z.boolean(), file: z.string(), restartNeeded: z.boolean() })
})

export const configPath = command({
  words: ['config', 'path'],
  help: 'print where the files of the profile are',
  fields: {},
  examples: ['synaptic-mesh p2p config path'],
  errors: [],
  output: (z) => z.strictObject({ config: z.string(), state: z.string(), log: z.string(), socket: z.string() })
})

export const configCheck = command({
  words: ['config', 'check'],
  help: 'check the configuration file and the environment without changing anything',
  fields: {},
  examples: ['synaptic-mesh p2p config check'],
  errors: ['CONFIG_MALFORMED', 'OPTION_UNKNOWN', 'OPTION_INVALID', 'ADDRESS_INVALID', 'NOT_AVAILABLE', 'NOT_INITIALIZED', 'PERMISSIONS_UNSAFE'],
  output: (z) => z.strictObject({ file: z.string(), valid: z.literal(true), options: z.int() })
})
