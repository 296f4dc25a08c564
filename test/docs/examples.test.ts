/** What the documents show can be typed: every command line by its own parser, every script by package.json, every link by the tree. */
import assert from 'node:assert/strict'
import { existsSync, globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { checkArguments, ownArguments, shellCommands } from '../../scripts/lib/command-lines.ts'
import { inRoot, root } from '../../scripts/lib/paths.ts'
import { catalogue, type Command } from '../../src/api/index.ts'

const pages = [...globSync('*.md', { cwd: root }), ...globSync('docs/**/*.md', { cwd: root })]
let texts: ReadonlyMap<string, string> = new Map()
let scripts: Readonly<Record<string, string>> = {}

before(async () => {
  texts = new Map(await Promise.all(pages.map(async (page): Promise<[string, string]> => [page, await readFile(inRoot(page), 'utf8')])))
  scripts = JSON.parse(await readFile(inRoot('package.json'), 'utf8')).scripts
})

/** The lines of the shell blocks of a page; of a console block only what follows a `$`. */
function shellLines(text: string): readonly string[] {
  const blocks = [...text.matchAll(/^```(sh|bash|console)\n(.*?)^```/gms)]
  return blocks.flatMap(([, kind, body = '']) => {
    const lines = body.replaceAll('\\\n', ' ').split('\n')
    return kind === 'console' ? lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2)) : lines
  })
}

/** What is wrong with the commands of ours on a line. */
async function problemsOf(line: string): Promise<readonly string[]> {
  const own = shellCommands(line).flatMap((words) => {
    const found = ownArguments(words)
    return found === undefined ? [] : [found]
  })
  const problems = await Promise.all(own.map(checkArguments))
  return problems.flatMap((problem) => (problem === undefined ? [] : [`${line}: ${problem}`]))
}

const everyLine = (): readonly string[] => [...texts.values()].flatMap(shellLines)

test('every command line of the documents is one that the command line takes', async () => {
  const problems = await Promise.all(everyLine().map(problemsOf))
  assert.deepEqual(problems.flat(), [])
})

test('every npm script of the documents exists', () => {
  const named = everyLine().flatMap((line) => [...line.matchAll(/\bnpm (?:run )?([a-z:]+)/g)].map(([, name = '']) => name))
  assert.deepEqual(
    named.filter((name) => !['ci', 'install', 'pack', 'run'].includes(name) && !Object.hasOwn(scripts, name)),
    []
  )
})

test('every bench that a page names exists', () => {
  const named = [...texts.values()].flatMap((text) => [...text.matchAll(/npm run bench ([a-z][a-z-]*)/g)].map(([, name = '']) => name))
  assert.deepEqual(
    named.filter((name) => !existsSync(inRoot('bench', `${name}.ts`))),
    []
  )
})

test('every link of the documents leads to a file', () => {
  const broken = [...texts].flatMap(([page, text]) => {
    const targets = [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target = '']) => target)
    return targets.filter((target) => !existsSync(inRoot(join(dirname(page), target)))).map((target) => `${page}: ${target}`)
  })
  assert.deepEqual(broken, [])
})

describe('the examples of each command can be typed', () => {
  const commands: readonly Command[] = Object.values(catalogue)
  for (const { words, examples } of commands) {
    test(`p2p ${words.join(' ')}`, async () => {
      for (const example of examples) {
        assert.ok(
          shellCommands(example).some((each) => ownArguments(each) !== undefined),
          example
        )
        assert.deepEqual(await problemsOf(example), [])
      }
    })
  }
})

test('a line that the command line does not take is found', async () => {
  const wrong = [
    'synaptic-mesh p2p teleport',
    'synaptic-mesh p2p message agent-001 hi --urgent',
    'synaptic-mesh p2p message agent-001 hi --priority 11',
    'synaptic-mesh p2p message',
    'synaptic-mesh p2p status now',
    'npx synaptic-mesh p2p discover --method pigeon'
  ]
  for (const line of wrong) assert.notDeepEqual(await problemsOf(line), [], line)
})
