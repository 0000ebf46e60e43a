// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ProviderCollateral} from "../src/ProviderCollateral.sol";
import {Test} from "./support/Test.sol";
import {FeeToken, MintableToken} from "./tokens/HostileTokens.sol";

/// Providers that deposit, ask back, cancel and take out, an operator that slashes and freezes, and the clock: in any order.
contract CollateralHandler is Test {
    uint256 public constant ACCOUNTS = 3;

    struct Book {
        uint256 deposited;
        uint256 locked;
        uint256 waiting;
        uint256 refunded;
        uint256 slashed;
        uint256 refundableAt;
    }

    ProviderCollateral public collateral;
    MintableToken[2] public tokens;
    Book[ACCOUNTS][2] private _books;
    uint256[2] public withdrawn;
    uint256[ACCOUNTS] private _frozenUntil;
    bytes32[] private _reasons;
    bool private _paused;

    constructor() {
        tokens[0] = new MintableToken();
        tokens[1] = new FeeToken();
        IERC20[] memory accepted = new IERC20[](2);
        accepted[0] = tokens[0];
        accepted[1] = tokens[1];
        collateral = new ProviderCollateral(address(this), address(this), address(this), accepted);
    }

    function deposit(uint256 who, uint256 which, uint256 amount) external {
        (who, which) = (who % ACCOUNTS, which % 2);
        amount = within(amount, 0, 1e24);
        uint256 arrives = which == 0 ? amount : amount - amount / 100;
        tokens[which].mint(accountOf(who), amount);
        vm.prank(accountOf(who));
        tokens[which].approve(address(collateral), amount);
        vm.prank(accountOf(who));
        try collateral.deposit(tokens[which], amount) {
            yes(arrives > 0 && !_paused, "took a deposit that had to be refused");
            _books[which][who].deposited += arrives;
            _books[which][who].locked += arrives;
        } catch {
            yes(arrives == 0 || _paused, "refused a right deposit");
        }
    }

    function requestRefund(uint256 who, uint256 which, uint256 amount) external {
        (who, which) = (who % ACCOUNTS, which % 2);
        Book storage book = _books[which][who];
        amount = within(amount, 0, book.locked + 1);
        vm.prank(accountOf(who));
        try collateral.requestRefund(tokens[which], amount) {
            yes(amount > 0 && amount <= book.locked, "let ask for what is not there");
            book.locked -= amount;
            book.waiting += amount;
            book.refundableAt = block.timestamp + 7 days;
        } catch {
            yes(amount == 0 || amount > book.locked, "refused a right request");
        }
    }

    function cancelRefund(uint256 who, uint256 which) external {
        (who, which) = (who % ACCOUNTS, which % 2);
        Book storage book = _books[which][who];
        vm.prank(accountOf(who));
        try collateral.cancelRefund(tokens[which]) {
            book.locked += book.waiting;
            book.waiting = 0;
        } catch {
            same(book.waiting, 0, "refused to cancel");
        }
    }

    function refund(uint256 who, uint256 which) external {
        (who, which) = (who % ACCOUNTS, which % 2);
        Book storage book = _books[which][who];
        bool allowed = book.waiting > 0 && block.timestamp >= book.refundableAt
            && block.timestamp >= _frozenUntil[who] && !_paused;
        vm.prank(accountOf(who));
        try collateral.refund(tokens[which]) {
            yes(allowed, "refunded too early, in a dispute or while paused");
            book.refunded += book.waiting;
            book.waiting = 0;
        } catch {
            yes(!allowed, "refused a right refund");
        }
    }

    function slash(uint256 who, uint256 which, uint256 amount, bytes32 reason, bool again) external {
        (who, which) = (who % ACCOUNTS, which % 2);
        if (again && _reasons.length > 0) reason = _reasons[uint256(reason) % _reasons.length];
        Book storage book = _books[which][who];
        uint256 there = book.locked + book.waiting;
        amount = within(amount, 0, there + there / 4 + 1);
        bool allowed = amount > 0 && there > 0 && !collateral.reasonUsed(reason);
        try collateral.slash(accountOf(who), tokens[which], amount, reason) {
            yes(allowed, "slashed twice, or nothing");
            uint256 taken = amount < there ? amount : there;
            uint256 fromLocked = taken < book.locked ? taken : book.locked;
            book.locked -= fromLocked;
            book.waiting -= taken - fromLocked;
            book.slashed += taken;
            _reasons.push(reason);
        } catch {
            yes(!allowed, "refused a right slash");
        }
    }

    function freeze(uint256 who, uint256 until) external {
        who %= ACCOUNTS;
        until = within(until, 0, block.timestamp + 30 days);
        collateral.freeze(accountOf(who), uint64(until));
        _frozenUntil[who] = until;
    }

    function withdrawSlashed(uint256 which, uint256 amount) external {
        which %= 2;
        uint256 available = slashedOfAll(which) - withdrawn[which];
        amount = within(amount, 0, available + 1);
        try collateral.withdrawSlashed(tokens[which], address(0xF00D), amount) {
            yes(amount <= available, "what is pledged was withdrawn");
            withdrawn[which] += amount;
        } catch {
            yes(amount > available, "what was slashed was not paid out");
        }
    }

    function pauseOrUnpause(uint256 chance) external {
        if (_paused) {
            collateral.unpause();
            _paused = false;
        } else if (chance % 4 == 0) {
            collateral.pause();
            _paused = true;
        }
    }

    function pass(uint256 time) external {
        vm.warp(block.timestamp + within(time, 1, 9 days));
    }

    function bookOf(uint256 who, uint256 which) external view returns (Book memory) {
        return _books[which][who];
    }

    function slashedOfAll(uint256 which) public view returns (uint256 sum) {
        for (uint256 i = 0; i < ACCOUNTS; i++) {
            sum += _books[which][i].slashed;
        }
    }

    function accountOf(uint256 i) public pure returns (address) {
        return address(uint160(0x9000 + i));
    }
}

contract ProviderCollateralInvariantTest is Test {
    CollateralHandler private handler;
    ProviderCollateral private collateral;

    function setUp() public {
        vm.warp(1_700_000_000);
        handler = new CollateralHandler();
        collateral = handler.collateral();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(handler);
    }

    /// For each account and token: slashed + refunded + what is there = deposited, and the contract holds all of it.
    function invariant_slashedAndRefundedNeverExceedDeposited() public view {
        for (uint256 which = 0; which < 2; which++) {
            MintableToken token = handler.tokens(which);
            uint256 owed;
            for (uint256 who = 0; who < handler.ACCOUNTS(); who++) {
                CollateralHandler.Book memory book = handler.bookOf(who, which);
                ProviderCollateral.Pledge memory pledge = collateral.pledgeOf(handler.accountOf(who), token);
                same(pledge.locked, book.locked, "locked");
                same(pledge.waiting, book.waiting, "waiting");
                same(book.deposited, book.locked + book.waiting + book.refunded + book.slashed, "deposited");
                owed += book.locked + book.waiting;
            }
            uint256 slashed = handler.slashedOfAll(which) - handler.withdrawn(which);
            same(collateral.slashed(token), slashed, "slashed");
            same(token.balanceOf(address(collateral)), owed + slashed, "held");
        }
    }
}
