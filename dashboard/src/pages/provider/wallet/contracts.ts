import { parseAbi } from 'viem/utils';

/** What is called of the market's contracts. The browser tests hold these signatures to the compiled contracts. */
export const DISTRIBUTOR = parseAbi([
  'struct Batch { bytes32 root; uint256 total; uint64 number; uint64 activeAt; }',
  'function batchInForce(address token) view returns (Batch)',
  'function batchWaiting(address token) view returns (Batch)',
  'function claimed(address token, address account) view returns (uint256)',
  'function claim(address token, address account, uint256 cumulative, bytes32[] proof)',
]);
export const COLLATERAL = parseAbi([
  'function deposit(address token, uint256 amount)',
  'function requestRefund(address token, uint256 amount)',
  'function cancelRefund(address token)',
  'function refund(address token)',
]);
export const TOKEN = parseAbi([
  'function approve(address spender, uint256 amount) returns (bool)',
  'function allowance(address owner, address spender) view returns (uint256)',
  'function balanceOf(address account) view returns (uint256)',
]);
