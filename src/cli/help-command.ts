import { catalogue, type Catalogue, type Command, type InputOf } from '../api/index.ts'
import { type Topic, topics } from '../api/topics.ts'
import { MeshError, version } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { buildProgram } from './program.ts'
import { renderers } from './render.ts'

const commands: readonly Command[] = Object.values(catalogue)
type Program = ReturnType<typeof buildProgram>['root']

/** A topic, the help of a command, or the list of both. @throws {MeshError} TOPIC_UNKNOWN */
export async function help({ topic = [] }: InputOf<Catalogue['help']>, { output }: CommandContext): Promise<void> {
  const words = topic[0] === 'p2p' ? topic.slice(1) : topic
  const name = words.join(' ')
  const isAsked = topic.length > 0
  const text = isAsked ? (textOf(words) ?? fail(name)) : undefined
  const answer = {
    ...(text === undefined ? {} : { topic: name === '' ? 'p2p' : name, text }),
    topics: isAsked ? [] : topics.map(({ topic: each, title }) => ({ topic: each, title })),
    commands: isAsked ? [] : commands.map((command) => ({ command: command.words.join(' '), help: command.help }))
  }
  await output.result(answer, (value) => renderers.help(value, output))
}

function fail(topic: string): never {
  throw new MeshError('TOPIC_UNKNOWN', { topic, topics: topics.map((each) => each.topic) })
}

/** A topic and a command may have one name: then both are told. */
function textOf(words: readonly string[]): string | undefined {
  const found = topics.find(({ topic }) => words.length === 1 && topic === words[0])
  const parts = [...(found === undefined ? [] : [topicText(found)]), ...helpOf(words)]
  return parts.length === 0 ? undefined : parts.join('\n\n')
}

const topicText = ({ topic, title, lines }: Topic): string => [`${topic}: ${title}`, '', ...lines].join('\n')

function helpOf(words: readonly string[]): readonly string[] {
  let program: Program | undefined = buildProgram(version).root.commands.find((each) => each.name() === 'p2p')
  for (const word of words) program = program?.commands.find((each) => each.name() === word)
  if (program === undefined) return []
  let text = ''
  program.configureOutput({ writeOut: (part) => void (text += part), getOutHelpWidth: () => 100 })
  program.outputHelp()
  return [text.trimEnd()]
}
