import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

/** The programs that tests start in processes of their own, by the name of their bundle. */
const sources = {
  'store-child': 'test/crash/store-child.ts',
  'sweep-child': 'test/crash/sweep-child.ts',
  'onion-node-child': 'test/hostile/onion-node-child.ts',
  'onion-lifecycle-child': 'test/hostile/onion-lifecycle-child.ts',
  daemon: 'src/daemon/main.ts'
} as const

/** Bundles a program of the tree `root`, with its storage thread, as a release is bundled: it starts several times faster so. Returns its file. */
export async function bundleChild(root: string, folder: string, name: keyof typeof sources = 'store-child'): Promise<string> {
  await build({
    absWorkingDir: root,
    entryPoints: { [name]: join(root, sources[name]), 'store-worker': join(root, 'src/node/sqlite/store-worker.ts') },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    logLevel: 'error',
    banner: { js: "import{createRequire as nodeCreateRequire}from'node:module';const require=nodeCreateRequire(import.meta.url);" }
  })
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  return join(folder, `${name}.js`)
}
