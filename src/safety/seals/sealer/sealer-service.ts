import type { Service } from '../../../control/place/launch.js'
import { sealerSocket, sealerStarterLock } from '../../../control/place/runtime-directory.js'

export const SEALER: Service = {
  name: 'sealer', socket: sealerSocket, starterLock: sealerStarterLock,
  main: new URL('./sealer-main.js', import.meta.url), packaged: ['safety', 'seals', 'sealer', 'sealer-main.js'],
}
