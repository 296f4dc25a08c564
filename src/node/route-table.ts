/** The default gateway of a Linux routing table as in /proc/net/route: the one of the least metric; undefined when there is none. */
export function gatewayInRoutes(table: string): string | undefined {
  const routes = table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, destination, gateway, flags]) => destination === '00000000' && gateway !== '00000000' && isGateway(flags))
    .sort((a, b) => Number(a[6]) - Number(b[6]))
  return routes.map(([, , gateway]) => addressOf(gateway ?? '')).find((address) => address !== undefined)
}

/** RTF_UP and RTF_GATEWAY of <linux/route.h>. */
const isGateway = (flags: string | undefined): boolean => (Number.parseInt(flags ?? '', 16) & 3) === 3

/** An address as the kernel prints it: four bytes in hexadecimal, in the order of this machine, which is little-endian wherever Node runs. */
function addressOf(text: string): string | undefined {
  if (!/^[0-9A-F]{8}$/i.test(text)) return undefined
  return [6, 4, 2, 0].map((at) => Number.parseInt(text.slice(at, at + 2), 16)).join('.')
}
