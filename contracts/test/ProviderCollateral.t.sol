// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ProviderCollateral} from "../src/ProviderCollateral.sol";
import {Test} from "./support/Test.sol";
import {
    BlockingToken,
    CallingToken,
    FalseToken,
    FeeToken,
    MintableToken,
    NoReturnToken,
    SwallowingToken
} from "./tokens/HostileTokens.sol";

contract ProviderCollateralTest is Test {
    address private constant ADMIN = address(0xA);
    address private constant OPERATOR = address(0xB);
    address private constant GUARDIAN = address(0xC);
    address private constant ANN = address(0x1001);
    address private constant BEN = address(0x1002);
    address private constant STRANGER = address(0x666);
    bytes32 private constant REASON = keccak256("benchmark failed twice");

    ProviderCollateral private collateral;
    MintableToken private token;

    function setUp() public {
        vm.warp(1_700_000_000);
        token = new MintableToken();
        IERC20[] memory tokens = new IERC20[](1);
        tokens[0] = token;
        collateral = new ProviderCollateral(ADMIN, OPERATOR, GUARDIAN, tokens);
    }

    // --- depositing -----------------------------------------------------------------------------------------------

    function test_aDepositIsLocked() public {
        token.mint(ANN, 100);
        vm.startPrank(ANN);
        token.approve(address(collateral), 100);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.Deposited(ANN, token, 100);
        collateral.deposit(token, 100);
        vm.stopPrank();
        holds(ANN, 100, 0);
        same(token.balanceOf(address(collateral)), 100, "held");
    }

    function test_onlyAcceptedTokensAreTaken() public {
        MintableToken other = new MintableToken();
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.TokenNotAccepted.selector, other));
        collateral.deposit(other, 1);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.TokenAccepted(other);
        vm.prank(ADMIN);
        collateral.acceptToken(other);
        yes(collateral.accepted(other), "accepted");
        token = other;
        deposit(ANN, 10);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.TokenRefused(other);
        vm.prank(ADMIN);
        collateral.refuseToken(other);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.TokenNotAccepted.selector, other));
        vm.prank(ANN);
        collateral.deposit(other, 1);
        request(ANN, 10);
        vm.warp(block.timestamp + 7 days);
        refund(ANN);
        same(other.balanceOf(ANN), 10, "what is there can leave");
    }

    function test_aDepositOfNothingIsRefused() public {
        vm.expectRevert(ProviderCollateral.NothingReceived.selector);
        vm.prank(ANN);
        collateral.deposit(token, 0);
    }

    // --- leaving --------------------------------------------------------------------------------------------------

    function test_aRefundTakesSevenDaysOfChainTime() public {
        deposit(ANN, 100);
        uint64 due = uint64(block.timestamp) + 7 days;
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.RefundRequested(ANN, token, 60, due);
        request(ANN, 60);
        holds(ANN, 40, 60);
        vm.warp(due - 1);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.StillWaiting.selector, due));
        refund(ANN);
        vm.warp(due);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.Refunded(ANN, token, 60);
        refund(ANN);
        same(token.balanceOf(ANN), 60, "refunded");
        holds(ANN, 40, 0);
    }

    function test_aRefundIsPaidOnce() public {
        deposit(ANN, 100);
        deposit(BEN, 100);
        request(ANN, 100);
        vm.warp(block.timestamp + 7 days);
        refund(ANN);
        vm.expectRevert(ProviderCollateral.NothingWaiting.selector);
        refund(ANN);
        same(token.balanceOf(address(collateral)), 100, "the other's is untouched");
        nothingWaits(ANN);
    }

    function test_onlyWhatIsLockedCanBeAskedBack() public {
        deposit(ANN, 100);
        vm.expectRevert(ProviderCollateral.AmountMissing.selector);
        request(ANN, 0);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.NotEnoughLocked.selector, 101, 100));
        request(ANN, 101);
        request(ANN, 70);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.NotEnoughLocked.selector, 31, 30));
        request(ANN, 31);
    }

    function test_askingForMoreStartsTheWaitAnewForAll() public {
        deposit(ANN, 100);
        request(ANN, 60);
        vm.warp(block.timestamp + 6 days);
        request(ANN, 40);
        vm.warp(block.timestamp + 1 days);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.StillWaiting.selector, block.timestamp + 6 days));
        refund(ANN);
        vm.warp(block.timestamp + 6 days);
        refund(ANN);
        same(token.balanceOf(ANN), 100, "refunded together");
    }

    function test_aCancelledRequestIsAtWorkAgain() public {
        vm.expectRevert(ProviderCollateral.NothingWaiting.selector);
        vm.prank(ANN);
        collateral.cancelRefund(token);
        deposit(ANN, 100);
        request(ANN, 60);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.RefundCancelled(ANN, token, 100);
        vm.prank(ANN);
        collateral.cancelRefund(token);
        holds(ANN, 100, 0);
        nothingWaits(ANN);
        vm.warp(block.timestamp + 7 days);
        vm.expectRevert(ProviderCollateral.NothingWaiting.selector);
        refund(ANN);
    }

    // --- slashing -------------------------------------------------------------------------------------------------

    function test_aSlashTakesFirstWhatIsLockedThenWhatWaits() public {
        deposit(ANN, 100);
        request(ANN, 60);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.Slashed(ANN, token, REASON, 30, 30);
        slash(ANN, 30, REASON);
        holds(ANN, 10, 60);
        slash(ANN, 30, "second");
        holds(ANN, 0, 40);
        same(collateral.slashed(token), 60, "slashed");
    }

    function test_whatWaitsIsSlashedUntilTheMomentItIsRefunded() public {
        deposit(ANN, 100);
        request(ANN, 100);
        vm.warp(block.timestamp + 8 days);
        slash(ANN, 90, REASON);
        refund(ANN);
        same(token.balanceOf(ANN), 10, "only the rest");
    }

    function test_aSlashOfMoreThanIsThereTakesWhatIsThere() public {
        deposit(ANN, 100);
        deposit(BEN, 100);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.Slashed(ANN, token, REASON, 100, 150);
        slash(ANN, 150, REASON);
        holds(ANN, 0, 0);
        holds(BEN, 100, 0);
    }

    function test_aReasonSlashesOnce() public {
        deposit(ANN, 100);
        slash(ANN, 10, REASON);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.ReasonUsed.selector, REASON));
        slash(ANN, 10, REASON);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.ReasonUsed.selector, REASON));
        slash(BEN, 10, REASON);
        yes(collateral.reasonUsed(REASON), "used");
        holds(ANN, 90, 0);
    }

    function test_aSlashOfNobodyLeavesItsReasonUnused() public {
        vm.expectRevert(ProviderCollateral.NothingToSlash.selector);
        slash(BEN, 10, REASON);
        yes(!collateral.reasonUsed(REASON), "not used");
    }

    function test_onlyWhatWasSlashedCanBeWithdrawn() public {
        deposit(ANN, 100);
        slash(ANN, 30, REASON);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.NotEnoughSlashed.selector, 31, 30));
        vm.prank(ADMIN);
        collateral.withdrawSlashed(token, ADMIN, 31);
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.SlashedWithdrawn(token, ADMIN, 30);
        vm.prank(ADMIN);
        collateral.withdrawSlashed(token, ADMIN, 30);
        same(token.balanceOf(ADMIN), 30, "withdrawn");
        same(collateral.slashed(token), 0, "none left");
    }

    // --- disputes, pauses, roles ----------------------------------------------------------------------------------

    function test_aFrozenAccountIsNotRefundedAndCanBeSlashed() public {
        deposit(ANN, 100);
        request(ANN, 100);
        uint64 until = uint64(block.timestamp) + 20 days;
        vm.expectEmit(true, true, true, true, address(collateral));
        emit ProviderCollateral.AccountFrozen(ANN, until);
        vm.prank(OPERATOR);
        collateral.freeze(ANN, until);
        same(collateral.frozenUntil(ANN), until, "frozen");
        vm.warp(until - 1);
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.StillFrozen.selector, until));
        refund(ANN);
        slash(ANN, 40, REASON);
        vm.warp(until);
        refund(ANN);
        same(token.balanceOf(ANN), 60, "the rest");
    }

    function test_aFreezeLastsAtMostThirtyDaysAndCanBeLifted() public {
        uint64 longest = uint64(block.timestamp) + 30 days;
        vm.expectRevert(abi.encodeWithSelector(ProviderCollateral.FreezeOutOfRange.selector, longest + 1));
        vm.prank(OPERATOR);
        collateral.freeze(ANN, longest + 1);
        vm.prank(OPERATOR);
        collateral.freeze(ANN, longest);
        deposit(ANN, 10);
        request(ANN, 10);
        vm.warp(block.timestamp + 7 days);
        vm.prank(OPERATOR);
        collateral.freeze(ANN, 0);
        refund(ANN);
    }

    function test_aPauseStopsDepositsAndRefundsOnly() public {
        deposit(ANN, 100);
        request(ANN, 50);
        vm.warp(block.timestamp + 7 days);
        vm.prank(GUARDIAN);
        collateral.pause();
        vm.expectRevert(Pausable.EnforcedPause.selector);
        refund(ANN);
        vm.expectRevert(Pausable.EnforcedPause.selector);
        collateral.deposit(token, 1);
        slash(ANN, 10, REASON);
        vm.prank(ADMIN);
        collateral.unpause();
        refund(ANN);
        same(token.balanceOf(ANN), 50, "refunded");
    }

    function test_strangersDecideNothing() public {
        bytes32 operator = collateral.OPERATOR_ROLE();
        bytes32 guardian = collateral.GUARDIAN_ROLE();
        vm.startPrank(STRANGER);
        vm.expectRevert(missing(operator));
        collateral.slash(ANN, token, 1, REASON);
        vm.expectRevert(missing(operator));
        collateral.freeze(ANN, 1);
        vm.expectRevert(missing(guardian));
        collateral.pause();
        vm.expectRevert(missing(0));
        collateral.unpause();
        vm.expectRevert(missing(0));
        collateral.acceptToken(token);
        vm.expectRevert(missing(0));
        collateral.refuseToken(token);
        vm.expectRevert(missing(0));
        collateral.withdrawSlashed(token, STRANGER, 1);
        vm.stopPrank();
    }

    // --- odd tokens -----------------------------------------------------------------------------------------------

    function test_aTokenWithFeesCountsForWhatArrived() public {
        accept(new FeeToken());
        deposit(ANN, 1_000);
        holds(ANN, 990, 0);
        request(ANN, 990);
        vm.warp(block.timestamp + 7 days);
        refund(ANN);
        same(token.balanceOf(ANN), 981, "the token kept its fee again");
        same(token.balanceOf(address(collateral)), 0, "all left");
    }

    function test_aTokenThatSwallowsTransfersIsNoDeposit() public {
        accept(new SwallowingToken());
        token.mint(ANN, 100);
        vm.startPrank(ANN);
        token.approve(address(collateral), 100);
        vm.expectRevert(ProviderCollateral.NothingReceived.selector);
        collateral.deposit(token, 100);
        vm.stopPrank();
    }

    function test_aTransferThatAnswersFalseIsNoDeposit() public {
        accept(new FalseToken());
        token.mint(ANN, 100);
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
        vm.prank(ANN);
        collateral.deposit(token, 100);
    }

    function test_aTokenThatAnswersNothingComesAndGoes() public {
        accept(MintableToken(address(new NoReturnToken())));
        NoReturnToken old = NoReturnToken(address(token));
        old.mint(ANN, 100);
        vm.startPrank(ANN);
        old.approve(address(collateral), 100);
        collateral.deposit(token, 100);
        collateral.requestRefund(token, 60);
        vm.stopPrank();
        slash(ANN, 40, REASON);
        vm.prank(ADMIN);
        collateral.withdrawSlashed(token, ADMIN, 40);
        vm.warp(block.timestamp + 7 days);
        refund(ANN);
        same(old.balanceOf(ANN), 60, "refunded");
        same(old.balanceOf(ADMIN), 40, "slashed");
    }

    function test_aBlockedProviderStopsNobodyElse() public {
        BlockingToken blocking = new BlockingToken();
        accept(blocking);
        deposit(ANN, 100);
        deposit(BEN, 100);
        request(ANN, 100);
        request(BEN, 100);
        vm.warp(block.timestamp + 7 days);
        blocking.blockAccount(ANN);
        vm.expectRevert(abi.encodeWithSelector(BlockingToken.Blocked.selector, ANN));
        refund(ANN);
        holds(ANN, 0, 100);
        refund(BEN);
        same(token.balanceOf(BEN), 100, "refunded");
    }

    function test_aTokenThatCallsBackGetsNothingTwice() public {
        CallingToken calling = new CallingToken();
        accept(calling);
        bytes memory again = abi.encodeCall(collateral.refund, (token));
        token.mint(address(calling), 100);
        deposit(ANN, 100);
        vm.startPrank(address(calling));
        calling.approve(address(collateral), 100);
        collateral.deposit(token, 100);
        collateral.requestRefund(token, 100);
        vm.warp(block.timestamp + 7 days);
        calling.callOnTransfer(address(collateral), again);
        collateral.refund(token);
        vm.stopPrank();
        yes(calling.called() && !calling.succeeded(), "the call back was refused");
        same(token.balanceOf(address(collateral)), 100, "the other's is untouched");
        // It could deposit, were it not in the middle of another's deposit.
        vm.prank(address(calling));
        calling.approve(address(collateral), 1);
        calling.callOnTransfer(address(collateral), abi.encodeCall(collateral.deposit, (token, 1)));
        deposit(BEN, 10);
        yes(!calling.succeeded(), "no deposit within a deposit");
        holds(BEN, 10, 0);
        bytes32 admin = 0x00;
        vm.prank(ADMIN);
        collateral.grantRole(admin, address(calling));
        slash(BEN, 10, REASON);
        calling.callOnTransfer(address(collateral), abi.encodeCall(collateral.withdrawSlashed, (token, STRANGER, 5)));
        vm.prank(ADMIN);
        collateral.withdrawSlashed(token, ADMIN, 5);
        yes(!calling.succeeded(), "no withdrawal within a withdrawal");
    }

    function test_nothingIsDepositedInTheMiddleOfARefund() public {
        CallingToken calling = new CallingToken();
        accept(calling);
        token.mint(address(calling), 100);
        vm.startPrank(address(calling));
        calling.approve(address(collateral), 100);
        collateral.deposit(token, 99);
        collateral.requestRefund(token, 99);
        vm.warp(block.timestamp + 7 days);
        calling.callOnTransfer(address(collateral), abi.encodeCall(collateral.deposit, (token, 1)));
        collateral.refund(token);
        vm.stopPrank();
        yes(calling.called() && !calling.succeeded(), "the call back was refused");
        holds(address(calling), 0, 0);
        same(token.balanceOf(address(calling)), 100, "refunded once");
    }

    // --- what the tests share -------------------------------------------------------------------------------------

    function accept(MintableToken other) private {
        token = other;
        vm.prank(ADMIN);
        collateral.acceptToken(token);
    }

    function deposit(address who, uint256 amount) private {
        token.mint(who, amount);
        vm.startPrank(who);
        token.approve(address(collateral), amount);
        collateral.deposit(token, amount);
        vm.stopPrank();
    }

    function request(address who, uint256 amount) private {
        vm.prank(who);
        collateral.requestRefund(token, amount);
    }

    function refund(address who) private {
        vm.prank(who);
        collateral.refund(token);
    }

    function slash(address who, uint256 amount, bytes32 reason) private {
        vm.prank(OPERATOR);
        collateral.slash(who, token, amount, reason);
    }

    function holds(address who, uint256 locked, uint256 waiting) private view {
        ProviderCollateral.Pledge memory pledge = collateral.pledgeOf(who, token);
        same(pledge.locked, locked, "locked");
        same(pledge.waiting, waiting, "waiting");
    }

    function nothingWaits(address who) private view {
        ProviderCollateral.Pledge memory pledge = collateral.pledgeOf(who, token);
        same(pledge.waiting, 0, "waiting");
        same(pledge.refundableAt, 0, "no time is left over");
    }

    function missing(bytes32 role) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, STRANGER, role);
    }
}
