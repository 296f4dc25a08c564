import { command } from '../command.ts'
import { timeoutMs } from './fields.ts'

/** What a check of doctor comes to; `skipped`: it could not be made. */
export const checkStates = ['ok', 'warn', 'fail', 'skipped'] as const

export const doctor = command({
  words: ['doctor'],
  help: 'look for what is wrong on this machine and in the profile, and say what to do; works without a daemon too',
  fields: {
    deep: { type: 'boolean', default: false, local: true, help: 'read the whole store too: its integrity, and the seal of each message' },
    fix: { type: 'boolean', default: false, local: true, help: 'mend what can be mended safely: permissions, what a crash left behind' },
    timeoutMs: timeoutMs(30_000)
  },
  examples: ['synaptic-mesh p2p doctor', 'synaptic-mesh p2p doctor --deep --json', 'synaptic-mesh p2p doctor --fix'],
  errors: ['DOCTOR_FAILED'],
  output: (z) =>
    z.strictObject({
      ok: z.boolean(),
      profile: z.string(),
      daemon: z.boolean(),
      checks: z.array(
        z.strictObject({
          id: z.string(),
          state: z.enum(checkStates),
          message: z.string(),
          hint: z.string().optional(),
          fixed: z.boolean().optional(),
          fixable: z.boolean().optional()
        })
      )
    })
})

export const bugreport = command({
  words: ['bugreport'],
  help: 'write what a bug report needs into a file: versions, options, status, checks, the end of the log; without secrets, bodies, addresses or peer ids',
  fields: {
    output: {
      type: 'text',
      min: 1,
      max: 4_000,
      local: true,
      placeholder: 'FILE',
      help: 'the file to make; by default one in this folder, named after the time'
    }
  },
  examples: ['synaptic-mesh p2p bugreport', 'synaptic-mesh p2p bugreport --output report.json'],
  errors: ['PATH_UNSAFE', 'DISK_FULL'],
  output: (z) => z.strictObject({ file: z.string(), bytes: z.int(), sections: z.array(z.string()), logLines: z.int() })
})

/** What the daemon knows of its clock and its store, for doctor. */
export const upkeep = command({
  words: ['upkeep'],
  help: 'compare clocks, count both boxes, and read the store when asked to',
  fields: { deep: { type: 'boolean', default: false, help: 'read the whole store' } },
  examples: [],
  errors: [],
  output: (z) =>
    z.strictObject({
      clockStepMs: z.number(),
      comparedClocks: z.int(),
      clocks: z.array(z.strictObject({ peerId: z.string(), name: z.string(), aheadMs: z.number() })),
      inbox: z.strictObject({ messages: z.int(), bytes: z.int(), maxMessages: z.int(), maxBytes: z.int() }),
      outbox: z.strictObject({ messages: z.int(), bytes: z.int(), maxMessages: z.int(), maxBytes: z.int() }),
      store: z.strictObject({ problems: z.array(z.string()), messages: z.int(), damaged: z.int() }).optional()
    }),
  route: { method: 'POST', path: '/v1/upkeep', scope: 'admin', socketOnly: true }
})
