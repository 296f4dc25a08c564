import { buildProgram } from '../../src/cli/program.ts'

/** The commands of a shell line: comments, pipes, `&&` and variables before a command are taken apart, redirections left out; quotes hold words together. */
export function shellCommands(line: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]]
  for (const match of line.matchAll(/"((?:[^"\\]|\\.)*)"|'([^']*)'|(\s#.*$|^#.*$)|(&&|\|\||[|;&()])|([^\s"'|;&()]+)/g)) {
    const [, double, single, comment, operator, word] = match
    if (comment !== undefined) break
    if (operator !== undefined) commands.push([])
    else commands.at(-1)?.push(double ?? single ?? word ?? '')
  }
  return commands.map(withoutRedirections).filter((command) => command.length > 0)
}

const withoutRedirections = (words: readonly string[]): readonly string[] =>
  words.filter((word, index) => !/^\d?[<>]/.test(word) && !/^\d?[<>]+$/.test(words[index - 1] ?? ''))

/** What follows the program's name in a command; undefined when the command is another program's. */
export function ownArguments(words: readonly string[]): readonly string[] | undefined {
  const at = words.findIndex((word) => word === 'synaptic-mesh' || word.endsWith('=$(synaptic-mesh'))
  if (at < 0) return undefined
  const isFirst = words.slice(0, at).every((word) => word === 'npx' || word === '$' || word.includes('='))
  return isFirst ? words.slice(at + 1) : undefined
}

type Program = ReturnType<typeof buildProgram>['root']

function silence(program: Program): void {
  program.exitOverride().configureOutput({ writeOut: () => undefined, writeErr: () => undefined })
  program.commands.forEach(silence)
}

/** What is wrong with the arguments of `synaptic-mesh …`, by the very parser of the command line; undefined when nothing is. */
export async function checkArguments(words: readonly string[]): Promise<string | undefined> {
  const { root } = buildProgram('0.0.0')
  silence(root)
  try {
    await root.parseAsync([...words], { from: 'user' })
    return undefined
  } catch (error) {
    if (!(error instanceof Error)) return String(error)
    return 'exitCode' in error && error.exitCode === 0 ? undefined : error.message
  }
}
