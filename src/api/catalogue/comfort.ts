import { command, type Zod } from '../command.ts'
import { circuitErrors, peer, timeoutMs, viaDirect } from './fields.ts'
import { errorReport, peerReference } from './shapes.ts'

/** The shells that `completion` knows. */
export const shells = ['bash', 'zsh', 'fish'] as const

export const completion = command({
  words: ['completion'],
  help: 'print what makes a shell complete commands, flags and the names of peers, groups and agents',
  fields: { shell: { type: 'choice', choices: shells, required: true, position: 0, flag: false, help: 'which shell' } },
  examples: ['source <(synaptic-mesh p2p completion bash)', 'synaptic-mesh p2p completion fish > ~/.config/fish/completions/synaptic-mesh.fish'],
  errors: [],
  output: (z) => z.strictObject({ shell: z.enum(shells), script: z.string() })
})

export const help = command({
  words: ['help'],
  help: 'explain a topic or a command; alone it lists both',
  fields: {
    topic: {
      type: 'list',
      maxItems: 3,
      maxCharacters: 40,
      position: 0,
      flag: false,
      help: 'a topic, such as exit-codes, or the words of a command'
    }
  },
  examples: ['synaptic-mesh p2p help', 'synaptic-mesh p2p help exit-codes', 'synaptic-mesh p2p help inbox read'],
  errors: ['TOPIC_UNKNOWN'],
  output: (z) =>
    z.strictObject({
      topic: z.string().optional(),
      text: z.string().optional(),
      topics: z.array(z.strictObject({ topic: z.string(), title: z.string() })),
      commands: z.array(z.strictObject({ command: z.string(), help: z.string() }))
    })
})

export const top = command({
  words: ['top'],
  help: 'watch the node: peers, traffic, queues and circuits, drawn anew each second; q or Ctrl-C ends it',
  fields: {
    once: { type: 'boolean', default: false, local: true, help: 'one picture, and end; so it is without a terminal' },
    intervalMs: {
      type: 'seconds',
      minMs: 200,
      maxMs: 60_000,
      defaultMs: 1_000,
      local: true,
      flag: '--interval',
      placeholder: 'SECONDS',
      help: 'seconds between two pictures'
    }
  },
  examples: ['synaptic-mesh p2p top', 'synaptic-mesh p2p top --once', 'synaptic-mesh p2p top --interval 5 --json'],
  errors: [],
  output: (z) =>
    z.strictObject({
      at: z.number(),
      peerId: z.string(),
      name: z.string(),
      profile: z.string(),
      uptimeS: z.number(),
      peers: z.strictObject({ connected: z.int(), quantum: z.int(), paired: z.int(), known: z.int() }),
      inbox: z.strictObject({ unread: z.int(), held: z.int() }),
      outbox: z.strictObject({ queued: z.int() }),
      bytes: z.strictObject({ sent: z.number(), received: z.number() }),
      /** Since the picture before; absent in the first. */
      perSecond: z.strictObject({ sent: z.number(), received: z.number() }).optional(),
      latencyMs: z.strictObject({ p50: z.number().optional(), p95: z.number().optional(), p99: z.number().optional() }),
      sessions: z.int(),
      circuits: z.int(),
      rssBytes: z.number(),
      list: z.array(
        z.strictObject({
          peerId: z.string(),
          name: z.string(),
          paired: z.boolean(),
          path: z.string(),
          quantumLevel: z.int(),
          rttMs: z.number().optional(),
          streams: z.int()
        })
      ),
      health: z.array(z.strictObject({ code: z.string(), message: z.string(), hint: z.string() }))
    })
})

/** The steps of `trace`, in their order. */
export const traceSteps = ['name', 'addresses', 'connection', 'encryption', 'circuit', 'session', 'round-trip'] as const

export const trace = command({
  words: ['trace'],
  help: 'go the way to a peer step by step, with times, and say at which step it ends and why',
  fields: { peer, via: viaDirect, timeoutMs: timeoutMs(30_000) },
  examples: ['synaptic-mesh p2p trace agent-001', 'synaptic-mesh p2p trace agent-001 --json'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'PEER_UNREACHABLE', 'TIMEOUT', 'HANDSHAKE_FAILED', 'DOWNGRADE_DETECTED', ...circuitErrors],
  output: (z) =>
    z.strictObject({
      wanted: z.string(),
      peer: peerReference(z).optional(),
      ok: z.boolean(),
      /** Whether the way goes over an onion circuit. */
      onion: z.boolean(),
      steps: z.array(
        z.strictObject({
          step: z.enum(traceSteps),
          state: z.enum(['ok', 'failed', 'skipped']),
          ms: z.number(),
          text: z.string(),
          /** What belongs to the step, a line each. */
          more: z.array(z.string()),
          error: errorReport(z).optional()
        })
      ),
      ms: z.number()
    }),
  route: { method: 'POST', path: '/v1/trace', scope: 'agent' }
})

const times = (z: Zod) => z.strictObject({ count: z.int(), minMs: z.number(), medianMs: z.number(), p95Ms: z.number(), maxMs: z.number() })

export const bench = command({
  words: ['bench'],
  help: 'measure this machine: signatures, handshakes, durable commits, messages between two throwaway nodes; with a PEER the way there',
  fields: {
    peer: { type: 'text', min: 1, max: 512, position: 0, flag: false, help: 'measure the way to this peer instead; nothing is put into its inbox' },
    seconds: { type: 'integer', min: 1, max: 60, default: 2, help: 'how long each measurement takes' },
    via: viaDirect
  },
  examples: ['synaptic-mesh p2p bench', 'synaptic-mesh p2p bench --seconds 5 --json', 'synaptic-mesh p2p bench agent-001'],
  errors: ['PEER_UNKNOWN', 'NAME_AMBIGUOUS', 'PEER_UNREACHABLE', 'ONION_ONLY', 'TIMEOUT', 'ABORTED', 'DISK_FULL'],
  output: (z) =>
    z.strictObject({
      local: z
        .strictObject({
          node: z.string(),
          cpu: z.string(),
          cores: z.int(),
          signaturesPerSecond: z.number(),
          verificationsPerSecond: z.number(),
          kemHandshakesPerSecond: z.number(),
          commitsPerSecond: z.number(),
          commitMs: times(z),
          messagesPerSecond: z.number(),
          messageMs: times(z)
        })
        .optional(),
      way: z
        .strictObject({
          peer: peerReference(z),
          path: z.string().optional(),
          roundTripMs: times(z),
          level: z.int(),
          handshakeMs: times(z)
        })
        .optional(),
      seconds: z.number()
    })
})

export const context = command({
  words: ['context'],
  help: 'print everything that this program can do, as one JSON value for machines: commands with inputs and outputs, errors, topics, what is safe',
  fields: {
    command: {
      type: 'list',
      maxItems: 3,
      maxCharacters: 40,
      position: 0,
      flag: false,
      help: 'the words of one command: only what belongs to it'
    }
  },
  examples: ['synaptic-mesh p2p context', 'synaptic-mesh p2p context inbox read'],
  errors: ['TOPIC_UNKNOWN'],
  output: (z) =>
    z.strictObject({
      product: z.string(),
      version: z.string(),
      program: z.string(),
      globalFlags: z.array(z.strictObject({ flags: z.string(), help: z.string() })),
      safety: z.array(z.string()),
      topics: z.array(z.strictObject({ topic: z.string(), title: z.string(), text: z.string() })),
      exitCodes: z.array(z.strictObject({ code: z.int(), meaning: z.string() })),
      commands: z.array(
        z.strictObject({
          command: z.string(),
          help: z.string(),
          stream: z.boolean(),
          inputs: z.array(
            z.strictObject({
              name: z.string(),
              type: z.string(),
              help: z.string(),
              allowed: z.string(),
              required: z.boolean(),
              flag: z.string().optional(),
              short: z.string().optional(),
              position: z.int().optional(),
              choices: z.array(z.union([z.string(), z.number()])).optional(),
              default: z.union([z.string(), z.number(), z.boolean()]).optional()
            })
          ),
          examples: z.array(z.string()),
          errors: z.array(z.string()),
          api: z.strictObject({ method: z.string(), path: z.string(), scope: z.string() }).optional(),
          inputSchema: z.record(z.string(), z.unknown()),
          outputSchema: z.record(z.string(), z.unknown())
        })
      ),
      errors: z.array(
        z.strictObject({
          code: z.string(),
          exitCode: z.int(),
          retryable: z.boolean(),
          message: z.string(),
          hint: z.string(),
          next: z.array(z.string())
        })
      )
    })
})
