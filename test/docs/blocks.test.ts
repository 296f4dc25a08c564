/** What the documents show beside shell lines is what it says: JSON and TOML parse, TypeScript and JavaScript have no error of syntax, commands in a sentence exist. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { before, test } from 'node:test'
import { parse as parseToml } from 'smol-toml'
import { checkArguments, ownArguments, shellCommands } from '../../scripts/lib/command-lines.ts'
import { inRoot, root } from '../../scripts/lib/paths.ts'

interface Block {
  readonly page: string
  readonly kind: string
  readonly body: string
}

const pages = [...globSync('*.md', { cwd: root }), ...globSync('docs/**/*.md', { cwd: root })]
let texts: readonly (readonly [string, string])[] = []
let blocks: readonly Block[] = []

before(async () => {
  texts = await Promise.all(pages.map(async (page) => [page, await readFile(inRoot(page), 'utf8')] as const))
  blocks = texts.flatMap(([page, text]) => [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, kind = '', body = '']) => ({ page, kind, body })))
})

const ofKind = (...kinds: readonly string[]): readonly Block[] => blocks.filter(({ kind }) => kinds.includes(kind))

/** One value, or one on each line. */
function isJson(body: string): boolean {
  const parses = (text: string): boolean => {
    try {
      JSON.parse(text)
      return true
    } catch {
      return false
    }
  }
  return parses(body) || body.trim().split('\n').every(parses)
}

test('every block of JSON or TOML is one', () => {
  for (const { page, body } of ofKind('json', 'ndjson')) assert.ok(isJson(body), `${page}: ${body}`)
  for (const { page, body } of ofKind('toml')) assert.doesNotThrow(() => parseToml(body), `${page}: ${body}`)
})

test('every block of TypeScript or JavaScript has the syntax of it', () => {
  // The conventions show two columns, what not to write and what to write.
  const found = ofKind('ts', 'js', 'mjs').filter(({ page }) => page !== 'CONVENTIONS.md')
  assert.ok(found.length > 0)
  for (const { page, body } of found) assert.doesNotThrow(() => stripTypeScriptTypes(body), `${page}: ${body}`)
})

test('every command in a sentence exists, with its flags', async () => {
  const problems: string[] = []
  let spans = 0
  for (const [page, text] of texts) {
    const prose = text.replaceAll(/^```.*?^```/gms, '')
    for (const [, span = ''] of prose.matchAll(/`(synaptic-mesh p2p [^`]+)`/g)) {
      spans++
      for (const words of shellCommands(span)) {
        const own = ownArguments(words)
        const problem = own === undefined ? undefined : await checkArguments(own)
        // A sentence may name a command without what it takes.
        if (problem !== undefined && !/missing required argument|missing mandatory/.test(problem)) problems.push(`${page}: ${span}: ${problem}`)
      }
    }
  }
  assert.deepEqual(problems, [])
  assert.ok(spans > 20, `${spans} were looked at`)
})
