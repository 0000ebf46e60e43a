import { Activity, Boxes, Globe, MessageSquare, Tag, Trophy } from 'lucide-react';
import type { Page } from '../../pages.ts';

/** What anyone may see. */
export const publicPages: readonly Page[] = [
  { path: '/', title: 'Welcome', area: 'public', load: () => import('./landing.tsx') },
  {
    path: '/models',
    title: 'Models',
    area: 'public',
    icon: Boxes,
    keys: 'g m',
    load: () => import('./models.tsx'),
  },
  { path: '/models/$org/$name', title: 'Model', area: 'public', load: () => import('./model.tsx') },
  { path: '/models/$name', title: 'Model', area: 'public', load: () => import('./model.tsx') },
  {
    path: '/playground',
    title: 'Playground',
    area: 'public',
    icon: MessageSquare,
    keys: 'g p',
    load: () => import('./playground.tsx'),
  },
  {
    path: '/pricing',
    title: 'Pricing',
    area: 'public',
    icon: Tag,
    keys: 'g c',
    load: () => import('./pricing.tsx'),
  },
  {
    path: '/leaderboard',
    title: 'Leaderboard',
    area: 'public',
    icon: Trophy,
    keys: 'g l',
    load: () => import('./leaderboard.tsx'),
  },
  {
    path: '/network',
    title: 'Network',
    area: 'public',
    icon: Globe,
    keys: 'g n',
    load: () => import('./network.tsx'),
  },
  {
    path: '/uptime',
    title: 'Status',
    area: 'public',
    icon: Activity,
    keys: 'g s',
    load: () => import('./uptime.tsx'),
  },
  { path: '/sign-in', title: 'Sign in', area: 'public', load: () => import('./sign-in.tsx') },
  { path: '/sign-up', title: 'Sign up', area: 'public', load: () => import('./sign-up.tsx') },
  { path: '/parts', title: 'Parts', area: 'public', load: () => import('./parts.tsx') },
];
