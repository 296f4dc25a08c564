import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'

/** Bundles a child of this folder, of the tree `root`, with its storage thread, as a release is bundled; returns the program. It starts several times faster so. */
export async function bundleChild(root: string, folder: string, name: 'store-child' | 'sweep-child' | 'cut-child' = 'store-child'): Promise<string> {
  await build({
    absWorkingDir: root,
    entryPoints: { [name]: join(root, `test/crash/${name}.ts`), 'store-worker': join(root, 'src/node/sqlite/store-worker.ts') },
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
