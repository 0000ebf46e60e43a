import { ChartLine, CreditCard, Gauge, KeyRound, Layers, ShieldCheck, Timer } from 'lucide-react';
import type { Page } from '../../pages.ts';

/** What a consumer does here. */
export const accountPages: readonly Page[] = [
  {
    path: '/account',
    title: 'Overview',
    area: 'account',
    icon: Gauge,
    section: 'Use',
    keys: 'g o',
    load: () => import('./overview.tsx'),
  },
  {
    path: '/account/usage',
    title: 'Usage',
    area: 'account',
    icon: ChartLine,
    section: 'Use',
    keys: 'g u',
    load: () => import('./usage.tsx'),
  },
  {
    path: '/account/keys',
    title: 'Keys',
    area: 'account',
    icon: KeyRound,
    section: 'Use',
    keys: 'g k',
    load: () => import('./keys.tsx'),
  },
  { path: '/account/usage/$id', title: 'Request', area: 'account', load: () => import('./request.tsx') },
  {
    path: '/account/billing',
    title: 'Billing',
    area: 'account',
    icon: CreditCard,
    section: 'Money',
    keys: 'g b',
    load: () => import('./billing.tsx'),
  },
  {
    path: '/account/billing/$number',
    title: 'Document',
    area: 'account',
    load: () => import('./document.tsx'),
  },
  {
    path: '/account/plan',
    title: 'Plan',
    area: 'account',
    icon: Layers,
    section: 'Money',
    load: () => import('./plan.tsx'),
  },
  {
    path: '/account/sla',
    title: 'Service level',
    area: 'account',
    icon: Timer,
    section: 'Trust',
    load: () => import('./sla.tsx'),
  },
  { path: '/account/sla/$month', title: 'Report', area: 'account', load: () => import('./sla-report.tsx') },
  {
    path: '/account/security',
    title: 'Security',
    area: 'account',
    icon: ShieldCheck,
    section: 'Trust',
    load: () => import('./security.tsx'),
  },
];
