// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuard} from "@openzeppelin/contracts/utils/ReentrancyGuard.sol";

/**
 * Holds what providers pledge for honest work. A deposit counts for what arrived. To leave, a provider asks for a refund
 * and waits seven days of chain time; what waits can still be slashed, and while a dispute freezes the account it cannot
 * be taken out. For each account and token: slashed + refunded never exceeds deposited.
 *
 * A slash names its reason by an id that can be used once, so that sending it twice cannot take twice. It takes what is
 * there when there is less than asked for: a refund that was faster must not save the rest.
 */
contract ProviderCollateral is AccessControl, Pausable, ReentrancyGuard {
    using SafeERC20 for IERC20;

    struct Pledge {
        /// At work as collateral.
        uint256 locked;
        /// Asked back, not yet refunded.
        uint256 waiting;
        /// From this second of chain time on, what waits can be refunded.
        uint64 refundableAt;
    }

    /// Slashes, and freezes accounts in dispute.
    bytes32 public constant OPERATOR_ROLE = keccak256("OPERATOR_ROLE");
    /// Pauses.
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    uint64 public constant REFUND_WAIT = 7 days;
    /// The longest that one call can freeze an account for.
    uint64 public constant FREEZE_MAX = 30 days;

    mapping(IERC20 token => bool accepted) private _accepted;
    mapping(address account => mapping(IERC20 token => Pledge pledge)) private _pledges;
    mapping(address account => uint64 until) private _frozenUntil;
    mapping(bytes32 reason => bool used) private _reasonUsed;
    mapping(IERC20 token => uint256 amount) private _slashed;

    event TokenAccepted(IERC20 indexed token);
    event TokenRefused(IERC20 indexed token);
    event Deposited(address indexed account, IERC20 indexed token, uint256 received);
    event Slashed(address indexed account, IERC20 indexed token, bytes32 indexed reason, uint256 taken, uint256 asked);
    event RefundRequested(address indexed account, IERC20 indexed token, uint256 waiting, uint64 refundableAt);
    event RefundCancelled(address indexed account, IERC20 indexed token, uint256 locked);
    event Refunded(address indexed account, IERC20 indexed token, uint256 amount);
    event AccountFrozen(address indexed account, uint64 until);
    event SlashedWithdrawn(IERC20 indexed token, address indexed to, uint256 amount);

    error TokenNotAccepted(IERC20 token);
    error NothingReceived();
    error AmountMissing();
    error NotEnoughLocked(uint256 amount, uint256 locked);
    error NothingWaiting();
    error StillWaiting(uint64 refundableAt);
    error StillFrozen(uint64 until);
    error ReasonUsed(bytes32 reason);
    error NothingToSlash();
    error FreezeOutOfRange(uint64 until);
    error NotEnoughSlashed(uint256 amount, uint256 slashed);

    constructor(address admin, address operator, address guardian, IERC20[] memory tokens) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
        _grantRole(OPERATOR_ROLE, operator);
        _grantRole(GUARDIAN_ROLE, guardian);
        for (uint256 i = 0; i < tokens.length; i++) {
            _accept(tokens[i]);
        }
    }

    function acceptToken(IERC20 token) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _accept(token);
    }

    /// No new deposits in this token. What is there can be refunded and slashed as before.
    function refuseToken(IERC20 token) external onlyRole(DEFAULT_ADMIN_ROLE) {
        _accepted[token] = false;
        emit TokenRefused(token);
    }

    /// Pledges what arrives of `amount`, which the caller has approved before.
    function deposit(IERC20 token, uint256 amount) external nonReentrant whenNotPaused {
        if (!_accepted[token]) revert TokenNotAccepted(token);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received == 0) revert NothingReceived();
        _pledges[msg.sender][token].locked += received;
        emit Deposited(msg.sender, token, received);
    }

    /// Starts the wait. Asking for more while some waits starts it anew for all.
    function requestRefund(IERC20 token, uint256 amount) external {
        Pledge storage pledge = _pledges[msg.sender][token];
        if (amount == 0) revert AmountMissing();
        if (amount > pledge.locked) revert NotEnoughLocked(amount, pledge.locked);
        uint64 refundableAt = uint64(block.timestamp) + REFUND_WAIT;
        pledge.locked -= amount;
        pledge.waiting += amount;
        pledge.refundableAt = refundableAt;
        emit RefundRequested(msg.sender, token, pledge.waiting, refundableAt);
    }

    /// Puts what waits back to work.
    function cancelRefund(IERC20 token) external {
        Pledge storage pledge = _pledges[msg.sender][token];
        if (pledge.waiting == 0) revert NothingWaiting();
        pledge.locked += pledge.waiting;
        pledge.waiting = 0;
        pledge.refundableAt = 0;
        emit RefundCancelled(msg.sender, token, pledge.locked);
    }

    /// Pays out what has waited long enough.
    function refund(IERC20 token) external nonReentrant whenNotPaused {
        Pledge storage pledge = _pledges[msg.sender][token];
        uint256 amount = pledge.waiting;
        if (amount == 0) revert NothingWaiting();
        if (block.timestamp < pledge.refundableAt) revert StillWaiting(pledge.refundableAt);
        if (block.timestamp < _frozenUntil[msg.sender]) revert StillFrozen(_frozenUntil[msg.sender]);
        pledge.waiting = 0;
        pledge.refundableAt = 0;
        emit Refunded(msg.sender, token, amount);
        token.safeTransfer(msg.sender, amount);
    }

    /**
     * Takes `amount` from an account, or what it has if that is less: first of what is at work, then of what waits.
     * @param reason the id of the finding; used once, for ever
     */
    function slash(address account, IERC20 token, uint256 amount, bytes32 reason) external onlyRole(OPERATOR_ROLE) {
        if (_reasonUsed[reason]) revert ReasonUsed(reason);
        Pledge storage pledge = _pledges[account][token];
        uint256 fromLocked = amount < pledge.locked ? amount : pledge.locked;
        uint256 rest = amount - fromLocked;
        uint256 fromWaiting = rest < pledge.waiting ? rest : pledge.waiting;
        uint256 taken = fromLocked + fromWaiting;
        if (taken == 0) revert NothingToSlash();
        _reasonUsed[reason] = true;
        pledge.locked -= fromLocked;
        pledge.waiting -= fromWaiting;
        _slashed[token] += taken;
        emit Slashed(account, token, reason, taken, amount);
    }

    /// Stops refunds of an account in dispute until the given second of chain time; a second in the past frees it.
    function freeze(address account, uint64 until) external onlyRole(OPERATOR_ROLE) {
        if (until > block.timestamp + FREEZE_MAX) revert FreezeOutOfRange(until);
        _frozenUntil[account] = until;
        emit AccountFrozen(account, until);
    }

    /// Sends away what was slashed, and never what is pledged.
    function withdrawSlashed(IERC20 token, address to, uint256 amount)
        external
        onlyRole(DEFAULT_ADMIN_ROLE)
        nonReentrant
    {
        uint256 available = _slashed[token];
        if (amount > available) revert NotEnoughSlashed(amount, available);
        _slashed[token] = available - amount;
        emit SlashedWithdrawn(token, to, amount);
        token.safeTransfer(to, amount);
    }

    /// Stops deposits and refunds. Requests and slashes go on, and so does the waiting.
    function pause() external onlyRole(GUARDIAN_ROLE) {
        _pause();
    }

    function unpause() external onlyRole(DEFAULT_ADMIN_ROLE) {
        _unpause();
    }

    function accepted(IERC20 token) external view returns (bool) {
        return _accepted[token];
    }

    function pledgeOf(address account, IERC20 token) external view returns (Pledge memory) {
        return _pledges[account][token];
    }

    function frozenUntil(address account) external view returns (uint64) {
        return _frozenUntil[account];
    }

    function reasonUsed(bytes32 reason) external view returns (bool) {
        return _reasonUsed[reason];
    }

    /// What was slashed in this token and not yet withdrawn.
    function slashed(IERC20 token) external view returns (uint256) {
        return _slashed[token];
    }

    function _accept(IERC20 token) private {
        _accepted[token] = true;
        emit TokenAccepted(token);
    }
}
