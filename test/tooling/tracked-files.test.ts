/** The tree says nothing of the machine that it was made on, and holds nothing that is unfinished. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { before, describe, test } from 'node:test'
import { inRoot, root } from '../../scripts/lib/paths.ts'

const literally = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Written in two parts each, so that this file does not hold what it looks for. */
const foreign: readonly (readonly [string, RegExp])[] = [
  ['a path of one machine', new RegExp(`(?:^|[\\s"'\`(=])(?:/${['wo', 'rk'].join('')}|${literally(homedir())}|${literally(root)})/`, 'm')],
  ['a package registry', new RegExp(['registry\\.npm', 'js|npm', 'mirror|arti', 'factory|code', 'artifact'].join(''), 'i')],
  ['a mark of unfinished work', new RegExp(`\\b(?:${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')}|${['XX', 'X'].join('')})\\b(?!…)`)]
]
const ownName = 'test/tooling/tracked-files.test.ts'

let texts: ReadonlyMap<string, string> = new Map()

before(async () => {
  const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  assert.equal(listed.status, 0, 'the checkout must be a git repository')
  const files = listed.stdout
    .split('\0')
    .filter((file) => file !== '' && file !== 'package-lock.json' && file !== ownName && !/\.(?:png|bin|gz)$/.test(file))
  const read = await Promise.all(files.map(async (file): Promise<[string, string]> => [file, await readFile(inRoot(file), 'utf8').catch(() => '')]))
  texts = new Map(read)
})

describe('no tracked file has', () => {
  for (const [what, pattern] of foreign) {
    test(what, () => {
      const found = [...texts].flatMap(([file, text]) => {
        const match = pattern.exec(text)
        return match === null ? [] : [`${file}: ${match[0].trim()}`]
      })
      assert.deepEqual(found, [])
    })
  }
})

test('no build product is tracked', () => {
  assert.deepEqual(
    [...texts.keys()].filter((file) => /^(?:dist|build|node_modules)\//.test(file)),
    []
  )
})
