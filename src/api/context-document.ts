import { errorCodes, errorTable, MeshError } from '../core/base/index.ts'
import { catalogue } from './catalogue/index.ts'
import { type Command, type Field, flagOf, type OutputOf, type Zod } from './command.ts'
import { errorSentence, exitMeanings } from './error-texts.ts'
import { allowedOf, defaultOf } from './field-check.ts'
import { globalFlags } from './global-flags.ts'
import { inputSchema } from './input-schema.ts'
import { safetyNotes, topics } from './topics.ts'

type Document = OutputOf<(typeof catalogue)['context']>
type Entry = Document['commands'][number]

/** Everything that the program can do, for machines; with `words` the command of that name only. @throws {MeshError} TOPIC_UNKNOWN */
export async function contextDocument(version: string, words: readonly string[] = []): Promise<Document> {
  const { z } = await import('zod')
  const all: readonly Command[] = Object.values(catalogue)
  const chosen = all.filter((command) => words.every((word, index) => command.words[index] === word))
  if (chosen.length === 0) throw new MeshError('TOPIC_UNKNOWN', { topic: words.join(' '), topics: all.map((command) => command.words.join(' ')) })
  const codes = words.length === 0 ? errorCodes : errorCodes.filter((code) => chosen.some(({ errors }) => errors.includes(code)))
  return {
    product: 'Synaptic Mesh',
    version,
    program: 'synaptic-mesh p2p',
    globalFlags: globalFlags.map(([flags, help]) => ({ flags, help })),
    safety: [...safetyNotes],
    topics: words.length === 0 ? topics.map(({ topic, title, lines }) => ({ topic, title, text: lines.join('\n') })) : [],
    exitCodes: exitMeanings.map(([code, meaning]) => ({ code, meaning })),
    commands: chosen.map((command) => entryOf(command, z)),
    errors: codes.map((code) => errorOf(code))
  }
}

function entryOf(command: Command, z: Zod): Entry {
  const { words, help, route } = command
  return {
    command: words.join(' '),
    help,
    stream: route?.stream === true,
    inputs: Object.entries(command.fields).map(([name, field]) => inputOf(name, field)),
    examples: [...command.examples],
    errors: [...command.errors],
    ...(route === undefined ? {} : { api: { method: route.method, path: route.path, scope: route.scope } }),
    inputSchema: z.toJSONSchema(inputSchema(command.fields, z), { io: 'input' }),
    outputSchema: schemaOf(command.output(z), z)
  }
}

/** Every output is a zod schema; the type of a command says only what is needed of it. */
function schemaOf(schema: unknown, z: Zod): Record<string, unknown> {
  return schema instanceof z.ZodType ? z.toJSONSchema(schema) : {}
}

function inputOf(name: string, field: Field): Entry['inputs'][number] {
  const flag = flagOf(name, field)
  const value = defaultOf(field)
  const choices = field.type === 'integer' ? field.values : 'choices' in field ? field.choices : undefined
  return {
    name,
    type: field.type,
    help: field.help,
    allowed: allowedOf(field),
    required: field.required === true,
    ...(flag === undefined ? {} : { flag }),
    ...(field.short === undefined ? {} : { short: field.short }),
    ...(field.position === undefined ? {} : { position: field.position }),
    ...(choices === undefined ? {} : { choices: [...choices] }),
    ...(value === undefined || typeof value === 'object' ? {} : { default: field.type === 'seconds' ? Number(value) / 1000 : value })
  }
}

function errorOf(code: (typeof errorCodes)[number]): Document['errors'][number] {
  const { exit, retryable, message, hint } = errorTable[code]
  const next = 'next' in errorTable[code] ? errorTable[code].next : []
  return { code, exitCode: exit, retryable, message: errorSentence(message), hint: errorSentence(hint), next: [...next] }
}
