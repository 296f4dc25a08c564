/** The pages of docs/ and the manual page that come from tables in src: `--write` makes them, without it a page that is not current is an error. */
import { readFile, writeFile } from 'node:fs/promises'
import { commandsPage } from './lib/commands-page.ts'
import { manPage } from './lib/man-page.ts'
import { errorsPage, metricsPage, optionsPage } from './lib/generated-docs.ts'
import { inRoot } from './lib/paths.ts'

const pages: readonly (readonly [string, () => string | Promise<string>])[] = [
  ['docs/commands.md', commandsPage],
  ['docs/errors.md', errorsPage],
  ['docs/metrics.md', metricsPage],
  ['docs/options.md', optionsPage],
  ['man/synaptic-mesh.1', manPage]
]

const isWriting = process.argv.includes('--write')
for (const [file, make] of pages) {
  const wanted = await make()
  const found = await readFile(inRoot(file), 'utf8').catch(() => '')
  if (found === wanted) continue
  if (isWriting) {
    await writeFile(inRoot(file), wanted)
    process.stdout.write(`${file} written\n`)
  } else {
    process.stdout.write(`${file} is not what the tables in src say: npm run docs\n`)
    process.exitCode = 1
  }
}
