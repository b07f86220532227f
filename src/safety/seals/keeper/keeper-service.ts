import type { Service } from '../../../control/place/launch.js'
import { keeperSocket, keeperStarterLock } from '../../../control/place/runtime-directory.js'

export const KEEPER: Service = {
  name: 'keeper of seals', socket: keeperSocket, starterLock: keeperStarterLock,
  main: new URL('./keeper-main.js', import.meta.url), packaged: ['safety', 'seals', 'keeper', 'keeper-main.js'],
}
