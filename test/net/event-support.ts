import type { Mesh, MeshEvents } from '../../src/mesh/mesh.ts'

const deadlineMs = 20_000

/** The next event of a node that fits. */
export function nextEvent<Name extends keyof MeshEvents>(
  mesh: Mesh,
  name: Name,
  fits: (value: MeshEvents[Name]) => boolean = () => true
): Promise<MeshEvents[Name]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no such event '${name}' within ${deadlineMs} ms`)), deadlineMs)
    const off = mesh.on(name, (value) => {
      if (!fits(value)) return
      clearTimeout(timer)
      off()
      resolve(value)
    })
  })
}
